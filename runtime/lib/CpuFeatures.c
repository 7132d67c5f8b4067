//===- CpuFeatures.c - Does this CPU run the artifact's code --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <string.h>

typedef enum { Unknown, Missing, Present, Refused } Support;

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// Matrix tiles (AMX) by their bit in leaf 7 of CPUID, since GCC 12 does not
// know the names. A process must ask Linux for their registers; what is granted
// holds for all of its threads.
static Support supportsTiles(unsigned bit) {
  enum { RequestPermission = 0x1023, TileData = 18 };
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> bit & 1))
    return Missing;
  return syscall(SYS_arch_prctl, RequestPermission, TileData) ? Refused
                                                              : Present;
}

static Support supports(const char *name) {
  __builtin_cpu_init();
  static const char *const baseline[] = {
      "64bit", "x87", "cx8", "fxsr", "mmx", "cmov", "sse", "sse2",
  };
  for (size_t i = 0; i < sizeof(baseline) / sizeof(*baseline); ++i)
    if (!strcmp(name, baseline[i]))
      return Present;
  if (!strcmp(name, "amx-bf16"))
    return supportsTiles(22);
  if (!strcmp(name, "amx-tile"))
    return supportsTiles(24);
  if (!strcmp(name, "amx-int8"))
    return supportsTiles(25);
// __builtin_cpu_supports takes only literals.
#define FEATURE(literal)                                                       \
  if (!strcmp(name, literal))                                                  \
    return __builtin_cpu_supports(literal) ? Present : Missing;
  FEATURE("sse3")
  FEATURE("ssse3")
  FEATURE("sse4.1")
  FEATURE("sse4.2")
  FEATURE("sse4a")
  FEATURE("popcnt")
  FEATURE("lzcnt")
  FEATURE("bmi")
  FEATURE("bmi2")
  FEATURE("adx")
  FEATURE("movbe")
  FEATURE("f16c")
  FEATURE("fma")
  FEATURE("avx")
  FEATURE("avx2")
  FEATURE("aes")
  FEATURE("vaes")
  FEATURE("pclmul")
  FEATURE("vpclmulqdq")
  FEATURE("gfni")
  FEATURE("sha")
  FEATURE("rdrnd")
  FEATURE("rdseed")
  FEATURE("prfchw")
  FEATURE("clflushopt")
  FEATURE("clwb")
  FEATURE("fsgsbase")
  FEATURE("xsave")
  FEATURE("xsavec")
  FEATURE("xsaveopt")
  FEATURE("xsaves")
  FEATURE("avx512f")
  FEATURE("avx512cd")
  FEATURE("avx512bw")
  FEATURE("avx512dq")
  FEATURE("avx512vl")
  FEATURE("avx512ifma")
  FEATURE("avx512vbmi")
  FEATURE("avx512vbmi2")
  FEATURE("avx512vnni")
  FEATURE("avx512bitalg")
  FEATURE("avx512vpopcntdq")
  FEATURE("avx512bf16")
  FEATURE("avx512vp2intersect")
#ifdef __clang__ // GCC 12 does not know these names.
  FEATURE("cx16")
  FEATURE("sahf")
  FEATURE("avx512fp16")
  FEATURE("avxvnni")
  FEATURE("avxvnniint8")
  FEATURE("avxvnniint16")
  FEATURE("avxifma")
  FEATURE("avxneconvert")
  FEATURE("amx-fp16")
#endif
#undef FEATURE
  return Unknown;
}

// Writes the CPU's brand string, 48 bytes by definition, trimmed.
static void cpuName(char name[64]) {
  unsigned words[12] = {0};
  strcpy(name, "unknown");
  if (__get_cpuid_max(0x80000000u, NULL) < 0x80000004u)
    return;
  unsigned *next = words;
  for (unsigned leaf = 0x80000002u; leaf <= 0x80000004u; ++leaf, next += 4)
    __get_cpuid(leaf, &next[0], &next[1], &next[2], &next[3]);
  char brand[sizeof(words) + 1] = {0};
  memcpy(brand, words, sizeof(words));
  size_t first = strspn(brand, " ");
  size_t end = strlen(brand);
  while (end > first && brand[end - 1] == ' ')
    brand[--end] = '\0';
  if (end > first)
    strcpy(name, brand + first);
}

#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

// Linux tells a process what it may use.
static Support supports(const char *name) {
  static const struct {
    const char *name;
    unsigned long first, second; // of AT_HWCAP and AT_HWCAP2
  } known[] = {
      {"crc", HWCAP_CRC32, 0},        {"lse", HWCAP_ATOMICS, 0},
      {"rdm", HWCAP_ASIMDRDM, 0},     {"fp16", HWCAP_FPHP | HWCAP_ASIMDHP, 0},
      {"fp16fml", HWCAP_ASIMDFHM, 0}, {"dotprod", HWCAP_ASIMDDP, 0},
      {"i8mm", 0, HWCAP2_I8MM},       {"bf16", 0, HWCAP2_BF16},
      {"sve", HWCAP_SVE, 0},          {"sve2", 0, HWCAP2_SVE2},
  };
  for (size_t i = 0; i < sizeof(known) / sizeof(*known); ++i)
    if (!strcmp(name, known[i].name))
      return (getauxval(AT_HWCAP) & known[i].first) == known[i].first &&
                     (getauxval(AT_HWCAP2) & known[i].second) == known[i].second
                 ? Present
                 : Missing;
  return Unknown;
}

static void cpuName(char name[64]) { strcpy(name, "AArch64"); }

#else
#error "add what this machine's CPUs may lack"
#endif

// Names are those of __builtin_cpu_supports. A feature that is not listed above
// counts as unknown and refuses the artifact: running it could end in an
// illegal instruction.
lutra_status *lutraCheckFeatures(const char *features, const char *origin) {
  lutraText missing = {0};
  while (*features) {
    size_t length = strcspn(features, ",");
    char name[64];
    if (length >= sizeof(name))
      return lutraError(LUTRA_INVALID_ARTIFACT,
                        "%s: expected CPU feature names below %zu bytes",
                        origin, sizeof(name));
    memcpy(name, features, length);
    name[length] = '\0';
    Support support = length ? supports(name) : Present;
    if (support == Unknown)
      return lutraError(LUTRA_UNSUPPORTED,
                        "%s: needs the CPU feature '%s', which this runtime "
                        "does not know",
                        origin, name);
    if (support == Refused)
      return lutraError(LUTRA_UNSUPPORTED,
                        "%s: needs the CPU feature '%s', whose registers Linux "
                        "does not let this process use; compile the model "
                        "with --mattr=-%s",
                        origin, name, name);
    if (support == Missing)
      lutraAppend(&missing, "%s%s", missing.length ? ", " : "", name);
    features += length;
    features += *features == ',';
  }
  if (!missing.length)
    return NULL;
  char cpu[64];
  cpuName(cpu);
  return lutraError(LUTRA_UNSUPPORTED,
                    "%s: this CPU (%s) lacks %s; compile the model with "
                    "--mcpu=native on this machine or with an older --mcpu",
                    origin, cpu, missing.text);
}

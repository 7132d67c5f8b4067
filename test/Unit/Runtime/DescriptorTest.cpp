//===- DescriptorTest.cpp - Wrong descriptors are refused -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

using namespace lutra::test;

namespace {

class DescriptorTest : public testing::Test {
protected:
  std::string create() {
    lutra_model *model = nullptr;
    std::string message =
        takeWithCode(lutra_model_create(&desc, LUTRA_TEST_INPUTS, 0, &model));
    lutra_model_destroy(model);
    return message;
  }

  lutra_model_desc desc = lutra_model_fake;
};

TEST_F(DescriptorTest, RightOne) { EXPECT_EQ(create(), "0: ok"); }

TEST_F(DescriptorTest, Magic) {
  desc.magic = 0xfeedface;
  EXPECT_EQ(create(), "2: linked model: expected a Lutra model (magic "
                      "0x4152544c), got 0xfeedface");
}

TEST_F(DescriptorTest, VersionNamesBothAndTheRemedy) {
  desc.abi_version = 7;
  EXPECT_EQ(create(),
            std::string("3: linked model: compiled for Lutra ABI version 7, "
                        "but this runtime (") +
                lutra_version() + ") has ABI version " +
                std::to_string(lutra_abi_version()) +
                "; compile the model again with this release, or use the "
                "runtime that it was made for");
}

TEST_F(DescriptorTest, UnknownFlags) {
  lutra_model *model = nullptr;
  EXPECT_EQ(take(lutra_model_create(&desc, nullptr, 8, &model)),
            "unknown flags 0x8");
}

TEST_F(DescriptorTest, NullArguments) {
  lutra_model *model = nullptr;
  EXPECT_EQ(take(lutra_model_create(nullptr, nullptr, 0, &model)),
            "expected a descriptor and a place for the model");
  EXPECT_EQ(take(lutra_model_load(nullptr, nullptr, 0, &model)),
            "expected a path and a place for the model");
}

TEST_F(DescriptorTest, WeightsFileIsABareName) {
  const std::string expected = "2: linked model: invalid model descriptor: "
                               "expected the bare name of a weight file";
  for (const char *file : {"../secret", "/etc/passwd", "a/b", ""}) {
    desc.weights_file = file;
    EXPECT_EQ(create(), expected) << file;
  }
  desc.weights_file = nullptr;
  EXPECT_EQ(create(), expected);
}

TEST_F(DescriptorTest, MissingParts) {
  const std::string invalid = "2: linked model: invalid model descriptor: ";
  desc.run = nullptr;
  EXPECT_EQ(create(), invalid + "an entry point is missing");
  desc = lutra_model_fake;
  desc.name = nullptr;
  EXPECT_EQ(create(), invalid + "a name is missing");
  desc = lutra_model_fake;
  desc.inputs = nullptr;
  EXPECT_EQ(create(), invalid + "bad list of inputs or outputs");
  desc = lutra_model_fake;
  desc.output_count = -1;
  EXPECT_EQ(create(), invalid + "bad list of inputs or outputs");
  desc = lutra_model_fake;
  desc.dim_count = 0; // The inputs still name a dimension.
  EXPECT_EQ(create(),
            invalid + "an input's shape names a dimension that does not exist");
  desc = lutra_model_fake;
  desc.dispatches = nullptr;
  EXPECT_EQ(create(), invalid + "bad list of dispatches");
}

TEST_F(DescriptorTest, Dims) {
  const std::string invalid = "2: linked model: invalid model descriptor: ";
  const lutra_dim_desc unbound[] = {{"batch", 1, 2, 1}, {"seq", 1, 2, 1}};
  desc.dims = unbound;
  desc.dim_count = 2;
  EXPECT_EQ(create(), invalid + "a dimension occurs in no input");
  const lutra_dim_desc backward = {"batch", 5, 4, 1};
  desc = lutra_model_fake;
  desc.dims = &backward;
  EXPECT_EQ(create(), invalid + "a dimension has a bad range");
  const lutra_dim_desc zero = {"batch", 0, 4, 0};
  desc.dims = &zero;
  EXPECT_EQ(create(), invalid + "a dimension has a bad range");
}

TEST_F(DescriptorTest, Dtypes) {
  const lutra_tensor_desc output = {"y", 8, 0, nullptr};
  desc.outputs = &output;
  EXPECT_EQ(create(), "2: linked model: invalid model descriptor: an input or "
                      "output has an unknown element type");
}

TEST_F(DescriptorTest, UnknownFeature) {
  desc.features = "warp-drive";
  EXPECT_EQ(create(), "3: linked model: needs the CPU feature 'warp-drive', "
                      "which this runtime does not know");
}

TEST_F(DescriptorTest, EndlessFeature) {
  std::string longName(100, 'x');
  desc.features = longName.c_str();
  EXPECT_EQ(create(),
            "2: linked model: expected CPU feature names below 64 bytes");
}

#if defined(__x86_64__)
TEST_F(DescriptorTest, FeaturesOfEveryX86AreThere) {
  desc.features = "cmov,cx8,64bit,,sse2";
  EXPECT_EQ(create(), "0: ok");
}

TEST_F(DescriptorTest, MissingFeatureNamesItAndTheCpu) {
  // No CPU has AMD's SSE4a and Intel's AMX at once.
  __builtin_cpu_init();
  const char *missing = __builtin_cpu_supports("sse4a") ? "amx-tile" : "sse4a";
  desc.features = missing;
  std::string message = create();
  EXPECT_EQ(message.find("3: linked model: this CPU ("), 0u) << message;
  EXPECT_NE(message.find(std::string(") lacks ") + missing +
                         "; compile the model with --mcpu=native"),
            std::string::npos)
      << message;
}

TEST_F(DescriptorTest, MatrixTilesArePermitted) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 24 & 1))
    GTEST_SKIP() << "needs a CPU with AMX";
  desc.features = "amx-tile,amx-int8,amx-bf16";
  EXPECT_EQ(create(), "0: ok");
  constexpr long kGetPermission = 0x1022, kTileData = 18;
  uint64_t permitted = 0;
  ASSERT_EQ(syscall(SYS_arch_prctl, kGetPermission, &permitted), 0);
  EXPECT_TRUE(permitted >> kTileData & 1);
}
#elif defined(__aarch64__)
TEST_F(DescriptorTest, FeaturesAreWhatLinuxSays) {
  const std::pair<const char *, unsigned long> features[] = {
      {"crc", HWCAP_CRC32}, {"dotprod", HWCAP_ASIMDDP}};
  for (auto [name, bit] : features) {
    desc.features = name;
    std::string missing = "3: linked model: this CPU (AArch64) lacks " +
                          std::string(name) +
                          "; compile the model with --mcpu=native on this "
                          "machine or with an older --mcpu";
    EXPECT_EQ(create(), getauxval(AT_HWCAP) & bit ? "0: ok" : missing);
  }
}
#endif

TEST(StatusTest, NullIsOk) {
  EXPECT_EQ(lutra_status_code(nullptr), LUTRA_OK);
  EXPECT_STREQ(lutra_status_message(nullptr), "ok");
  lutra_status_free(nullptr);
}

TEST(DtypeTest, SizesAndNames) {
  EXPECT_EQ(lutra_dtype_size(LUTRA_BFLOAT16), 2u);
  EXPECT_STREQ(lutra_dtype_name(LUTRA_BFLOAT16), "bfloat16");
  for (int32_t bad : {-1, 0, 8, 14, 17, INT32_MAX, INT32_MIN}) {
    EXPECT_EQ(lutra_dtype_size(bad), 0u);
    EXPECT_STREQ(lutra_dtype_name(bad), "unknown");
  }
}

} // namespace

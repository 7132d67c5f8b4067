//===- LoadTest.cpp - Shared objects, right and damaged ---------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"
extern "C" {
#include "Internal.h"
}

#include <cstring>
#include <elf.h>
#include <random>
#include <unistd.h>
#include <vector>

using namespace lutra::test;

namespace {

std::string load(const std::string &path) {
  lutra_model *model = nullptr;
  std::string message =
      takeWithCode(lutra_model_load(path.c_str(), nullptr, 0, &model));
  lutra_model_destroy(model);
  return message;
}

TEST(LoadTest, Loads) {
  lutra_model *model = nullptr;
  ASSERT_EQ(take(lutra_model_load(input("fake.so").c_str(), nullptr,
                                  LUTRA_VERIFY_WEIGHTS, &model)),
            "ok");
  const lutra_model_desc *info = lutra_model_info(model);
  EXPECT_STREQ(info->name, "fake");
  EXPECT_EQ(info->dispatch_count, 2);
  EXPECT_NE(info, &lutra_model_fake);
  lutra_model_destroy(model);
}

TEST(LoadTest, BareNameIsInTheCurrentFolder) {
  char before[4096];
  ASSERT_TRUE(getcwd(before, sizeof(before)));
  ASSERT_EQ(chdir(LUTRA_TEST_INPUTS), 0);
  EXPECT_EQ(load("fake.so"), "0: ok");
  EXPECT_EQ(load("libc.so.6"), "4: ./libc.so.6: No such file or directory");
  ASSERT_EQ(chdir(before), 0);
}

TEST(LoadTest, WeightsElsewhere) {
  TemporaryFile weights("fake.weights", "1234");
  TemporaryFile artifact("fake.so", readBytes(input("fake.so")));
  EXPECT_EQ(load(artifact.path), "4: " + artifact.folder +
                                     "/fake.weights: No such file or "
                                     "directory");
  lutra_model *model = nullptr;
  EXPECT_EQ(take(lutra_model_load(artifact.path.c_str(), weights.folder.c_str(),
                                  0, &model)),
            "ok");
  lutra_model_destroy(model);
}

TEST(LoadTest, NoSuchFile) {
  EXPECT_EQ(load("/nowhere/a.so"),
            "4: /nowhere/a.so: No such file or directory");
  EXPECT_EQ(load(""), "4: ./: expected a regular file");
  EXPECT_EQ(load("/tmp"), "4: /tmp: expected a regular file");
}

TEST(LoadTest, OtherKindsOfFiles) {
  for (const char *bytes : {"", "x",
                            "\x7f"
                            "ELF",
                            "PK\x03\x04 and more text"}) {
    TemporaryFile file("a.so", bytes);
    EXPECT_EQ(load(file.path), "2: " + file.path +
                                   ": expected an ELF shared object made by "
                                   "lutra-compile, got another kind of file");
  }
}

TEST(LoadTest, NoModel) {
  std::string path = input("no-model.so");
  EXPECT_EQ(load(path), "2: " + path +
                            ": expected a shared object made by lutra-compile: "
                            "no symbol starts with lutra_model_");
}

TEST(LoadTest, TwoModels) {
  std::string path = input("fake-two.so"), message = load(path);
  EXPECT_EQ(message.find("2: " + path + ": expected one model, got '"), 0u)
      << message;
}

TEST(LoadTest, OtherVersion) {
  std::string path = input("fake-abi.so"), message = load(path);
  EXPECT_EQ(message.find("3: " + path +
                         ": compiled for Lutra ABI version 99, but this "
                         "runtime ("),
            0u)
      << message;
}

TEST(LoadTest, OtherCpu) {
  std::string path = input("fake-features.so"), message = load(path);
  EXPECT_EQ(message.find("3: " + path + ": "), 0u) << message;
}

TEST(LoadTest, SmallSymbol) {
  std::string path = input("fake-small.so");
  EXPECT_EQ(load(path),
            "2: " + path + ": expected symbol 'lutra_model_fake' to have " +
                std::to_string(sizeof(lutra_model_desc)) + " bytes, got 8");
}

TEST(LoadTest, Executable) { EXPECT_EQ(load("/proc/self/exe")[0], '2'); }

TEST(LoadTest, OtherMachine) {
  std::string bytes = readBytes(input("fake.so"));
  const uint16_t riscv = EM_RISCV;
  std::memcpy(&bytes[offsetof(Elf64_Ehdr, e_machine)], &riscv, sizeof(riscv));
  TemporaryFile file("fake.so", bytes);
  std::string message = load(file.path);
  EXPECT_EQ(message.find("3: " + file.path + ": expected ELF machine "), 0u);
  EXPECT_NE(message.find("got machine 243; compile the model for this machine"),
            std::string::npos);
}

TEST(LoadTest, ObjectFile) {
  std::string bytes = readBytes(input("fake.so"));
  const uint16_t relocatable = ET_REL;
  std::memcpy(&bytes[offsetof(Elf64_Ehdr, e_type)], &relocatable, 2);
  TemporaryFile file("fake.o", bytes);
  EXPECT_EQ(load(file.path), "2: " + file.path +
                                 ": expected a shared object, got ELF type 1; "
                                 "link it with --emit=lib");
}

TEST(LoadTest, EveryTruncationIsAnError) {
  std::string bytes = readBytes(input("fake.so"));
  TemporaryFile file("fake.so", bytes);
  for (size_t size = bytes.size(); size-- > 0;) {
    ASSERT_EQ(truncate(file.path.c_str(), static_cast<off_t>(size)), 0);
    ASSERT_EQ(load(file.path)[0], '2') << size;
  }
}

TEST(ElfSymbolTest, TablesThatWrapAround) {
  const std::string good = readBytes(input("fake.so"));
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof(header));
  int refused = 0;
  for (int i = 0; i < header.e_shnum; ++i) {
    std::vector<unsigned char> bytes(good.begin(), good.end());
    const uint64_t offset = UINT64_MAX - 7, size = 48;
    unsigned char *section = &bytes[header.e_shoff + i * sizeof(Elf64_Shdr)];
    std::memcpy(section + offsetof(Elf64_Shdr, sh_offset), &offset, 8);
    std::memcpy(section + offsetof(Elf64_Shdr, sh_size), &size, 8);
    const char *name = nullptr;
    uint64_t symbolSize = 0;
    std::string message = take(lutraFindModelSymbol(
        "a.so", {bytes.data(), bytes.size()}, &name, &symbolSize));
    if (message == "ok")
      continue;
    EXPECT_EQ(message, "a.so: damaged or truncated shared object: a section "
                       "reaches past the end of the file");
    ++refused;
  }
  EXPECT_EQ(refused, 2); // The symbols and their names.
}

// Only the reader of symbols: what dlopen makes of a file whose tables are
// whole but wrong is out of our hands.
TEST(ElfSymbolTest, DamageIsNeverReadPastTheEnd) {
  const std::string good = readBytes(input("fake.so"));
  Elf64_Ehdr header;
  std::memcpy(&header, good.data(), sizeof(header));
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    // An exact allocation, so that AddressSanitizer sees each byte too far.
    std::vector<unsigned char> bytes(good.begin(), good.end());
    for (int i = 0; i < 1 + round % 4; ++i) {
      // Mostly where it hurts: the file's header and the section headers.
      size_t place =
          round % 3 == 0 ? random() % 64
          : round % 3 == 1
              ? header.e_shoff + random() % (bytes.size() - header.e_shoff)
              : random() % bytes.size();
      bytes[place] = static_cast<unsigned char>(random());
    }
    const char *name = nullptr;
    uint64_t size = 0;
    lutra_status *status = lutraFindModelSymbol(
        "a.so", {bytes.data(), bytes.size()}, &name, &size);
    if (status)
      ++refused;
    else
      EXPECT_EQ(std::strncmp(name, "lutra_model_", 12), 0);
    lutra_status_free(status);
  }
  EXPECT_GT(refused, 1000);
}

} // namespace

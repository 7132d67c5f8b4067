//===- WeightsTest.cpp - Weight images, whole and damaged -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

using namespace lutra::test;

namespace {

std::string create(const lutra_model_desc &desc, const std::string &dir,
                   uint32_t flags) {
  lutra_model *model = nullptr;
  std::string message =
      takeWithCode(lutra_model_create(&desc, dir.c_str(), flags, &model));
  lutra_model_destroy(model);
  return message;
}

TEST(WeightsTest, Missing) {
  TemporaryFile file("other", "1234");
  EXPECT_EQ(create(lutra_model_fake, file.folder, 0),
            "4: " + file.folder + "/fake.weights: No such file or directory");
}

TEST(WeightsTest, WrongSize) {
  for (const char *bytes : {"", "123", "12345"}) {
    TemporaryFile file("fake.weights", bytes);
    EXPECT_EQ(create(lutra_model_fake, file.folder, LUTRA_TRUST_WEIGHTS),
              "2: " + file.path +
                  ": expected 4 bytes of weights of model 'fake', got " +
                  std::to_string(strlen(bytes)));
  }
}

TEST(WeightsTest, Corrupt) {
  TemporaryFile file("fake.weights", "1235");
  std::string message = create(lutra_model_fake, file.folder, 0);
  EXPECT_EQ(message.find("2: " + file.path +
                         ": expected weights of model 'fake' with hash "),
            0u)
      << message;
  EXPECT_EQ(create(lutra_model_fake, file.folder, LUTRA_VERIFY_WEIGHTS),
            message);
  EXPECT_EQ(create(lutra_model_fake, file.folder, LUTRA_TRUST_WEIGHTS),
            "0: ok");
}

TEST(WeightsTest, LargeFilesAreHashedOnlyWhenAsked) {
  TemporaryFile file("fake.weights", "");
  lutra_model_desc desc = lutra_model_fake; // The hash is wrong for zeros.
  desc.weights_size = 64 << 20;
  ASSERT_EQ(truncate(file.path.c_str(), 64 << 20), 0);
  EXPECT_EQ(create(desc, file.folder, 0), "0: ok");
  EXPECT_EQ(create(desc, file.folder, LUTRA_VERIFY_WEIGHTS)[0], '2');
  desc.weights_size -= 1;
  ASSERT_EQ(truncate(file.path.c_str(), (64 << 20) - 1), 0);
  EXPECT_EQ(create(desc, file.folder, 0)[0], '2');
}

TEST(WeightsTest, NotAFile) {
  TemporaryFile other("other", "");
  std::string pipe = other.folder + "/fake.weights";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(create(lutra_model_fake, other.folder, 0),
            "4: " + pipe + ": expected a regular file");
  unlink(pipe.c_str());
}

TEST(WeightsTest, Embedded) {
  alignas(64) const char image[] = "1234!";
  lutra_model_desc desc = lutra_model_fake;
  desc.weights_file = nullptr;
  desc.weights = image;
  EXPECT_EQ(create(desc, "/nowhere", LUTRA_VERIFY_WEIGHTS), "0: ok");
  alignas(64) const char wrong[] = "9999";
  desc.weights = wrong;
  EXPECT_EQ(create(desc, "/nowhere", 0), "0: ok");
  EXPECT_EQ(create(desc, "/nowhere", LUTRA_VERIFY_WEIGHTS)
                .find("2: embedded weights: expected weights of model 'fake' "
                      "with hash"),
            0u);
  desc.weights = image + 1;
  EXPECT_EQ(create(desc, "/nowhere", 0)
                .find("2: model 'fake': expected embedded weights aligned to "
                      "64 bytes, got address"),
            0u);
}

TEST(WeightsTest, NoneAreNeeded) {
  lutra_model_desc desc = lutra_model_fake;
  desc.weights_size = 0;
  desc.weights_file = nullptr;
  EXPECT_EQ(create(desc, "/nowhere", LUTRA_VERIFY_WEIGHTS), "0: ok");
}

TEST(WeightsTest, DefaultFolderIsTheProgramsOwn) {
  lutra_model *model = nullptr;
  std::string message =
      take(lutra_model_create(&lutra_model_fake, nullptr, 0, &model));
  char program[4096] = {};
  ASSERT_GT(readlink("/proc/self/exe", program, sizeof(program) - 1), 0);
  *strrchr(program, '/') = '\0';
  EXPECT_EQ(message,
            std::string(program) + "/fake.weights: No such file or directory");
}

} // namespace

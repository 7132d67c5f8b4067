//===- Fake.h - What the runtime's tests share ------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_UNITTESTS_RUNTIME_FAKE_H
#define LUTRA_UNITTESTS_RUNTIME_FAKE_H

#include "lutra/runtime.h"
#include "gtest/gtest.h"

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

extern "C" const lutra_model_desc lutra_model_fake;
extern "C" const lutra_model_desc lutra_model_sums;

namespace lutra::test {

/// The message of a status, which is freed; "ok" for success.
inline std::string take(lutra_status *status) {
  std::string message = lutra_status_message(status);
  lutra_status_free(status);
  return message;
}

/// "CODE: message"
inline std::string takeWithCode(lutra_status *status) {
  int code = lutra_status_code(status);
  return std::to_string(code) + ": " + take(status);
}

struct DestroyModel {
  void operator()(lutra_model *model) const { lutra_model_destroy(model); }
};
using ModelPtr = std::unique_ptr<lutra_model, DestroyModel>;

/// A model of the descriptor with its weights in the tests' folder.
inline ModelPtr makeModel(const lutra_model_desc &desc) {
  lutra_model *model = nullptr;
  EXPECT_EQ(take(lutra_model_create(&desc, LUTRA_TEST_INPUTS, 0, &model)),
            "ok");
  return ModelPtr(model);
}

inline std::string input(const std::string &name) {
  return std::string(LUTRA_TEST_INPUTS) + "/" + name;
}

inline std::string readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A file that lives as long as this object, in a folder of its own.
class TemporaryFile {
public:
  TemporaryFile(const std::string &name, const std::string &bytes) {
    char pattern[] = "/tmp/lutra-test-XXXXXX";
    folder = mkdtemp(pattern);
    path = folder + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
  }
  ~TemporaryFile() {
    std::remove(path.c_str());
    std::remove(folder.c_str());
  }
  std::string folder, path;
};

} // namespace lutra::test

#endif // LUTRA_UNITTESTS_RUNTIME_FAKE_H

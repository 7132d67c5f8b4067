//===- Compiled.h - A model that a test compiles and runs -------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef LUTRA_TEST_UNIT_TARGET_COMPILED_H
#define LUTRA_TEST_UNIT_TARGET_COMPILED_H

#include "lutra/Target/Artifact.h"
#include "lutra/Target/CPU.h"
#include "lutra/Target/TargetDescription.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/include/lutra/abi.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <dlfcn.h>

namespace mlir::lutra {

inline const DialectRegistry &testRegistry() {
  static const DialectRegistry *registry = [] {
    auto *result = new DialectRegistry;
    result->insert<LutraDialect, affine::AffineDialect, arith::ArithDialect,
                   func::FuncDialect, math::MathDialect, memref::MemRefDialect,
                   scf::SCFDialect, vector::VectorDialect>();
    registerTargetDialects(*result);
    return result;
  }();
  return *registry;
}

/// A folder of its own, gone at the end.
struct Folder {
  Folder() {
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("lutra", path));
  }
  ~Folder() { llvm::sys::fs::remove_directories(path); }
  std::string file(StringRef name) const { return (path + "/" + name).str(); }

  SmallString<128> path;
};

inline llvm::Expected<StringRef> noSources(StringRef source) {
  return llvm::createStringError("no source '" + source + "'");
}

/// Reads a module after `plan`, gives it a target and takes it through phase
/// `target`; null, after a test failure, where that does not work.
inline OwningOpRef<ModuleOp> lowerFile(MLIRContext &context, StringRef path,
                                       const TargetOptions &options,
                                       StringRef name) {
  auto module = parseSourceFile<ModuleOp>(path, &context);
  auto target = describeTarget(&context, options);
  if (!module || !target) {
    ADD_FAILURE() << (target ? "parse error" : toString(target.takeError()));
    return nullptr;
  }
  (*module)->setAttr(attr::kTarget, *target);
  PassManager pm(&context);
  buildTargetPipeline(pm, name);
  if (failed(pm.run(*module))) {
    ADD_FAILURE() << "the target pipeline fails for " << options.cpu;
    return nullptr;
  }
  return module;
}

/// A shared library and its descriptor.
class Compiled {
public:
  Compiled(StringRef path, StringRef cpu, bool embedWeights = false,
           unsigned optLevel = 3) {
    MLIRContext context(testRegistry());
    TargetOptions target;
    target.cpu = cpu.str();
    auto module = lowerFile(context, path, target, "test");
    if (!module)
      return;
    ArtifactOptions options;
    options.output = folder.file("test.so");
    options.embedWeights = embedWeights;
    options.optLevel = optLevel;
    if (llvm::Error failed = writeArtifact(*module, options, noSources)) {
      ADD_FAILURE() << toString(std::move(failed));
      return;
    }
    handle = dlopen(options.output.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
      ADD_FAILURE() << dlerror();
      return;
    }
    model = static_cast<const lutra_model_desc *>(
        dlsym(handle, "lutra_model_test"));
    EXPECT_TRUE(model);
  }
  ~Compiled() {
    if (handle)
      dlclose(handle);
  }

  /// Runs on this thread, `grain` iterations at a time.
  void run(const void *input, void *output, std::vector<int64_t> dims,
           const void *weights = nullptr, void *workspace = nullptr,
           lutra_dispatch_hook hook = nullptr, void *hookData = nullptr) {
    struct Sequential : lutra_executor {
      int64_t grain = 3;
    } executor;
    executor.workers = 1;
    executor.parallel_for = [](lutra_executor *self, int64_t count,
                               lutra_task_fn fn, void *task) {
      int64_t grain = static_cast<Sequential *>(self)->grain;
      for (int64_t at = 0; at < count; at += grain)
        fn(task, at, std::min(at + grain, count), 0);
    };
    lutra_call call = {&executor, &input, &output,  dims.data(), workspace,
                       weights,   hook,   hookData, nullptr};
    model->run(&call);
  }

  Folder folder;
  const lutra_model_desc *model = nullptr;

private:
  void *handle = nullptr;
};

} // namespace mlir::lutra

#endif // LUTRA_TEST_UNIT_TARGET_COMPILED_H

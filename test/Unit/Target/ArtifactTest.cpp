//===- ArtifactTest.cpp - Artifacts are complete, equal and run -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compiles a small planned program for every level of x86-64 and for AArch64,
// runs what this machine can run, and looks at the files.
//
//===----------------------------------------------------------------------===//

#include "Compiled.h"
#include "lutra/Target/Object.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "gmock/gmock.h"

using namespace mlir;
using namespace mlir::lutra;

namespace {

struct Level {
  const char *cpu;
  bool embed;
  unsigned optLevel;
};

bool runsHere(StringRef cpu) {
  __builtin_cpu_init();
  if (cpu == "x86-64-v4")
    return __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw");
  if (cpu == "x86-64-v3")
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (cpu == "x86-64-v2")
    return __builtin_cpu_supports("sse4.2");
  return true;
}

class Run : public testing::TestWithParam<Level> {};

TEST_P(Run, AffineModel) {
  Level level = GetParam();
  if (!runsHere(level.cpu))
    GTEST_SKIP() << "this machine is no " << level.cpu;
  Compiled compiled(AFFINE_MODEL, level.cpu, level.embed, level.optLevel);
  const lutra_model_desc *model = compiled.model;
  ASSERT_TRUE(model);
  EXPECT_EQ(model->magic, LUTRA_MODEL_MAGIC);
  EXPECT_EQ(model->abi_version, LUTRA_ABI_VERSION);
  EXPECT_STREQ(model->name, "test");
  ASSERT_EQ(model->input_count, 1);
  EXPECT_STREQ(model->inputs[0].name, "x");
  EXPECT_EQ(model->inputs[0].shape[0], -1);
  EXPECT_EQ(model->inputs[0].shape[1], 8);
  ASSERT_EQ(model->dim_count, 1);
  EXPECT_EQ(model->dims[0].max, 64);
  ASSERT_EQ(model->dispatch_count, 2);
  EXPECT_STREQ(model->dispatches[1].kernel, "scale");
  EXPECT_STREQ(model->dispatches[1].nodes, "Mul_1, Add_1");

  alignas(64) char image[128] = {};
  const void *weights = model->weights;
  ASSERT_EQ(model->weights_size, sizeof(image));
  if (level.embed) {
    ASSERT_TRUE(weights);
    EXPECT_EQ(model->weights_file, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(weights) % 64, 0u);
  } else {
    ASSERT_STREQ(model->weights_file, "test.weights");
    auto file = llvm::MemoryBuffer::getFile(
        compiled.folder.file("test.weights"), false, false);
    ASSERT_TRUE(bool(file));
    ASSERT_EQ((*file)->getBufferSize(), sizeof(image));
    memcpy(image, (*file)->getBufferStart(), sizeof(image));
    weights = image;
  }
  uint64_t hash = 0xcbf29ce484222325u;
  for (size_t i = 0; i < sizeof(image); ++i)
    hash = (hash ^ static_cast<const uint8_t *>(weights)[i]) * 0x100000001b3u;
  EXPECT_EQ(model->weights_hash, hash);

  for (int64_t batch : {0, 1, 5, 64}) {
    int64_t bytes = -1, shape[2] = {-1, -1};
    model->plan(&batch, 2, &bytes, shape);
    EXPECT_EQ(bytes, batch * 32);
    EXPECT_EQ(shape[0], batch);
    EXPECT_EQ(shape[1], 8);
    std::vector<float> x(batch * 8), y(batch * 8, -1), workspace(batch * 8);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i % 13) - 5;
    std::vector<std::pair<int64_t, int64_t>> hooks;
    compiled.run(
        x.data(), y.data(), {batch}, weights, workspace.data(),
        [](void *data, int64_t dispatch, int64_t begin) {
          static_cast<decltype(hooks) *>(data)->push_back({dispatch, begin});
        },
        &hooks);
    for (size_t i = 0; i < x.size(); ++i) {
      float factor = i % 8 + 1;
      EXPECT_EQ(y[i], (x[i] * factor + 16) * factor + 16) << i;
    }
    EXPECT_EQ(hooks, (decltype(hooks){{0, 1}, {0, 0}, {1, 1}, {1, 0}}));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Levels, Run,
    testing::Values(Level{"x86-64", false, 0}, Level{"x86-64", true, 3},
                    Level{"x86-64-v2", false, 1}, Level{"x86-64-v3", false, 3},
                    Level{"x86-64-v4", true, 2}, Level{"native", false, 3},
                    Level{"native", true, 0}));

std::string emit(StringRef triple, StringRef cpu, ObjectKind kind) {
  MLIRContext context(testRegistry());
  TargetOptions target;
  target.triple = triple.str();
  target.cpu = cpu.str();
  auto module = lowerFile(context, AFFINE_MODEL, target, "test");
  if (!module)
    return "";
  ObjectOptions options;
  options.kind = kind;
  SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream os(bytes);
  if (llvm::Error failed = emitObject(*module, options, os))
    ADD_FAILURE() << toString(std::move(failed));
  return os.str().str();
}

TEST(Object, EveryLevelNeedsNothingAndIsDeterministic) {
  std::pair<const char *, const char *> targets[] = {
      {"x86_64-linux-gnu", "x86-64"},     {"x86_64-linux-gnu", "x86-64-v2"},
      {"x86_64-linux-gnu", "x86-64-v3"},  {"x86_64-linux-gnu", "x86-64-v4"},
      {"x86_64-linux-gnu", "znver4"},     {"aarch64-linux-gnu", "native"},
      {"aarch64-linux-gnu", "cortex-a76"}};
  for (auto [triple, cpu] : targets) {
    std::string bytes = emit(triple, cpu, ObjectKind::Object);
    EXPECT_EQ(bytes, emit(triple, cpu, ObjectKind::Object)) << cpu;
    auto object = llvm::object::ObjectFile::createObjectFile(
        llvm::MemoryBufferRef(bytes, "object"));
    ASSERT_TRUE(bool(object)) << toString(object.takeError());
    SmallVector<std::string> visible;
    for (const llvm::object::SymbolRef &symbol : (*object)->symbols()) {
      uint32_t flags = cantFail(symbol.getFlags());
      if (flags & (llvm::object::SymbolRef::SF_Undefined |
                   llvm::object::SymbolRef::SF_Global))
        if (StringRef name = cantFail(symbol.getName()); !name.empty())
          visible.push_back(name.str());
    }
    EXPECT_EQ(visible, SmallVector<std::string>{"lutra_model_test"}) << cpu;
    EXPECT_EQ(StringRef(bytes).find("/work"), StringRef::npos);
    EXPECT_EQ(StringRef(bytes).find("affine_model"), StringRef::npos);
  }
}

TEST(Object, AssemblyAndIR) {
  std::string text = emit("", "x86-64-v3", ObjectKind::Assembly);
  EXPECT_NE(text.find("vfmadd"), std::string::npos);
  text = emit("", "x86-64", ObjectKind::LLVMIR);
  EXPECT_NE(text.find("target-cpu\"=\"x86-64"), std::string::npos);
  EXPECT_NE(text.find("nounwind"), std::string::npos);
}

/// The names of the files in a folder, in order.
std::vector<std::string> list(StringRef folder) {
  std::vector<std::string> names;
  std::error_code code;
  llvm::sys::fs::directory_iterator it(folder, code), end;
  for (; it != end && !code; it.increment(code))
    names.push_back(llvm::sys::path::filename(it->path()).str());
  llvm::sort(names);
  return names;
}

class ArtifactErrors : public testing::Test {
protected:
  void SetUp() override {
    module = lowerFile(context, AFFINE_MODEL, {}, "test");
    ASSERT_TRUE(module);
    options.output = folder.file("test.so");
    options.header = folder.file("test.h");
  }

  std::string write() {
    return toString(writeArtifact(*module, options, noSources));
  }

  MLIRContext context{testRegistry()};
  OwningOpRef<ModuleOp> module;
  Folder folder;
  ArtifactOptions options;
};

TEST_F(ArtifactErrors, LinkerFails) {
  options.linker = "/bin/false";
  EXPECT_THAT(write(), testing::HasSubstr("/bin/false failed"));
  EXPECT_THAT(list(folder.path), testing::IsEmpty());
}

TEST_F(ArtifactErrors, NamesTheOutputThatCannotBeWritten) {
  options.output = folder.file("missing/test.so");
  EXPECT_EQ(write(), "'" + options.output + "': No such file or directory");
  options.output = folder.file("folder.so");
  ASSERT_FALSE(llvm::sys::fs::create_directory(options.output));
  EXPECT_EQ(write(), "'" + options.output + "': Is a directory");
  EXPECT_THAT(list(folder.path), testing::ElementsAre("folder.so"));
}

TEST_F(ArtifactErrors, AnyFileThatCannotBeWrittenIsTheEndOfAll) {
  options.header = folder.file("missing/test.h");
  EXPECT_EQ(write(), "'" + options.header + "': No such file or directory");
  EXPECT_THAT(list(folder.path), testing::IsEmpty());
  options.header.clear();
  ASSERT_FALSE(llvm::sys::fs::create_directory(folder.file("test.weights")));
  EXPECT_EQ(write(), "'" + folder.file("test.weights") + "': Is a directory");
  EXPECT_THAT(list(folder.path), testing::ElementsAre("test.weights"));
}

TEST(Artifact, HeaderAndRelocatable) {
  MLIRContext context(testRegistry());
  auto module = lowerFile(context, AFFINE_MODEL, {}, "test");
  ASSERT_TRUE(module);
  Folder folder;
  ArtifactOptions options;
  options.output = folder.file("test.o");
  options.kind = ArtifactKind::Object;
  options.header = folder.file("test.h");
  options.embedWeights = true;
  ASSERT_EQ(toString(writeArtifact(*module, options, noSources)), "");
  EXPECT_TRUE(llvm::sys::fs::exists(options.output));
  EXPECT_FALSE(llvm::sys::fs::exists(folder.file("test.weights")));
  auto header = llvm::MemoryBuffer::getFile(folder.file("test.h"));
  ASSERT_TRUE(bool(header));
  StringRef text = (*header)->getBuffer();
  EXPECT_TRUE(text.contains("x: FLOAT[batch, 8]")) << text.str();
  EXPECT_TRUE(text.contains("extern const lutra_model_desc lutra_model_test;"));
}

TEST(TargetDescription, Errors) {
  MLIRContext context(testRegistry());
  auto message = [&](StringRef triple, StringRef cpu, StringRef features) {
    auto target =
        describeTarget(&context, {triple.str(), cpu.str(), features.str()});
    return target ? "" : toString(target.takeError());
  };
  EXPECT_EQ(message("x86_64-linux-gnu", "nonsense", ""),
            "unknown CPU 'nonsense' for x86_64-unknown-linux-gnu");
  EXPECT_EQ(message("x86_64-linux-gnu", "x86-64", "+nonsense"),
            "unknown CPU feature 'nonsense' for x86_64-unknown-linux-gnu");
  EXPECT_EQ(message("x86_64-linux-gnu", "x86-64", "avx"),
            "expected a feature as +name or -name, got 'avx'");
  EXPECT_EQ(message("riscv64-linux-gnu", "native", ""),
            "unsupported target 'riscv64-unknown-linux-gnu', expected Linux on "
            "x86_64 or aarch64");
  EXPECT_EQ(message("x86_64-linux-gnux32", "native", ""),
            "unsupported target 'x86_64-unknown-linux-gnux32', expected Linux "
            "on x86_64 or aarch64");
}

TEST(TargetDescription, Levels) {
  MLIRContext context(testRegistry());
  auto describe = [&](StringRef cpu, StringRef features = "") {
    return cantFail(describeTarget(
        &context, {"x86_64-linux-gnu", cpu.str(), features.str()}));
  };
  EXPECT_EQ(describe("x86-64").getVectorBits(), 128);
  EXPECT_EQ(requiredFeatures(describe("x86-64")), "");
  EXPECT_EQ(describe("x86-64-v3").getVectorBits(), 256);
  EXPECT_EQ(requiredFeatures(describe("x86-64-v3")),
            "sse3,ssse3,sse4.1,sse4.2,popcnt,lzcnt,bmi,bmi2,movbe,f16c,avx,fma,"
            "avx2");
  EXPECT_EQ(describe("x86-64-v4").getVectorBits(), 512);
  EXPECT_EQ(describe("x86-64-v4").getVectorRegisters(), 32);
  EXPECT_FALSE(describe("x86-64-v4").hasFeature("avx512vnni"));
  EXPECT_TRUE(describe("x86-64-v4", "+avx512vnni").hasFeature("avx512vnni"));
  EXPECT_EQ(describe("x86-64-v4", "-avx512vl").getVectorBits(), 256);
  std::string tiles = requiredFeatures(describe("sapphirerapids"));
  EXPECT_TRUE(StringRef(tiles).ends_with("amx-tile,amx-int8,amx-bf16"))
      << tiles;
  EXPECT_FALSE(describe("sapphirerapids", "-amx-tile").hasFeature("amx-int8"));
  TargetAttr arm = cantFail(
      describeTarget(&context, {"aarch64-linux-gnu", "cortex-a76", ""}));
  EXPECT_EQ(arm.getVectorBits(), 128);
  EXPECT_TRUE(arm.hasFeature("dotprod"));
}

} // namespace

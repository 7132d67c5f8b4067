//===- RunTest.cpp - Runs, and every wrong argument of one ------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

using namespace lutra::test;

namespace {

/// A right call of the fake model, for tests to make wrong.
class RunTest : public testing::Test {
protected:
  RunTest() {
    inputs = {{x, LUTRA_FLOAT32, 2, xShape},
              {bias, LUTRA_FLOAT32, 1, biasShape}};
    outputs = {{sum, LUTRA_FLOAT32, 2, sumShape}};
  }

  std::string run() {
    return takeWithCode(lutra_run(model.get(), executor, nullptr, inputs.data(),
                                  static_cast<int32_t>(inputs.size()),
                                  outputs.data(),
                                  static_cast<int32_t>(outputs.size()),
                                  workspace, workspaceBytes, trace));
  }

  alignas(64) float x[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  alignas(64) float bias[4] = {10, 20, 30, 40};
  alignas(64) float sum[8] = {};
  alignas(64) char scratch[128];
  int64_t xShape[2] = {2, 4}, biasShape[1] = {4}, sumShape[2] = {2, 4};
  ModelPtr model = makeModel(lutra_model_fake);
  lutra_executor *executor = nullptr;
  std::vector<lutra_tensor> inputs, outputs;
  void *workspace = scratch;
  size_t workspaceBytes = 32;
  const lutra_trace *trace = nullptr;
};

TEST_F(RunTest, ComputesAndLeavesInputsAlone) {
  EXPECT_EQ(run(), "0: ok");
  const float expected[] = {11, 23, 35, 47, 15, 27, 39, 51};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(sum[i], expected[i]);
    EXPECT_EQ(x[i], i);
  }
}

TEST_F(RunTest, EmptyTensorsNeedNoData) {
  xShape[0] = sumShape[0] = 0;
  inputs[0].data = outputs[0].data = nullptr;
  workspace = nullptr;
  workspaceBytes = 0;
  EXPECT_EQ(run(), "0: ok");
}

TEST_F(RunTest, WrongCount) {
  inputs.pop_back();
  EXPECT_EQ(run(), "1: expected 2 inputs, got 1");
  inputs.resize(3);
  EXPECT_EQ(run(), "1: expected 2 inputs, got 3");
}

TEST_F(RunTest, WrongOutputCount) {
  outputs.clear();
  EXPECT_EQ(run(), "1: expected 1 output, got 0");
}

TEST_F(RunTest, WrongDtype) {
  inputs[1].dtype = LUTRA_FLOAT64;
  EXPECT_EQ(run(), "1: input 'bias': expected dtype float32, got float64");
  inputs[1].dtype = static_cast<lutra_dtype>(77);
  EXPECT_EQ(run(), "1: input 'bias': expected dtype float32, got unknown");
}

TEST_F(RunTest, WrongRank) {
  inputs[0].rank = 1;
  EXPECT_EQ(run(), "1: input 'x': expected rank 2, got 1");
  inputs[0].rank = -1;
  EXPECT_EQ(run(), "1: input 'x': expected rank 2, got -1");
}

TEST_F(RunTest, NullShape) {
  inputs[0].shape = nullptr;
  EXPECT_EQ(run(), "1: input 'x': expected a shape of rank 2, got null");
}

TEST_F(RunTest, WrongShape) {
  xShape[1] = 5;
  EXPECT_EQ(run(), "1: input 'x': expected shape [batch,4], got [2,5]");
}

TEST_F(RunTest, DimOutOfRange) {
  xShape[0] = 65;
  EXPECT_EQ(run(), "1: dim 'batch': expected 0 to 64, got 65 in input 'x'");
  xShape[0] = -1;
  EXPECT_EQ(run(), "1: dim 'batch': expected 0 to 64, got -1 in input 'x'");
}

TEST_F(RunTest, OutputWrong) {
  sumShape[0] = 3;
  EXPECT_EQ(run(), "1: output 'sum': expected shape [2,4], got [3,4]");
  outputs[0].dtype = LUTRA_INT32;
  EXPECT_EQ(run(), "1: output 'sum': expected dtype float32, got int32");
}

TEST_F(RunTest, NullData) {
  inputs[1].data = nullptr;
  EXPECT_EQ(run(), "1: input 'bias': expected 16 bytes of data, got null");
  inputs[1].data = bias;
  outputs[0].data = nullptr;
  EXPECT_EQ(run(), "1: output 'sum': expected 32 bytes of data, got null");
}

TEST_F(RunTest, MisalignedData) {
  inputs[0].data = reinterpret_cast<char *>(x) + 2;
  EXPECT_EQ(
      run().find("1: input 'x': expected data aligned to 4 bytes, got address"),
      0u);
}

TEST_F(RunTest, OutputOverlapsInput) {
  outputs[0].data = x + 7;
  EXPECT_EQ(run(), "1: output 'sum': expected memory of its own, got memory "
                   "that overlaps input 'x'");
}

TEST_F(RunTest, WorkspaceNull) {
  workspace = nullptr;
  EXPECT_EQ(run(), "1: workspace: expected 32 bytes, got null");
}

TEST_F(RunTest, WorkspaceSmall) {
  workspaceBytes = 31;
  EXPECT_EQ(run(), "1: workspace: expected at least 32 bytes, got 31");
}

TEST_F(RunTest, WorkspaceMisaligned) {
  workspace = scratch + 4;
  EXPECT_EQ(run().find("1: workspace: expected memory aligned to 64 bytes, got "
                       "address"),
            0u);
}

TEST_F(RunTest, WorkspaceOverlaps) {
  workspace = x;
  EXPECT_EQ(run(), "1: workspace: expected memory of its own, got memory that "
                   "overlaps input 'x'");
  workspace = sum;
  EXPECT_EQ(run(), "1: workspace: expected memory of its own, got memory that "
                   "overlaps output 'sum'");
}

TEST_F(RunTest, BadExecutor) {
  lutra_executor bad = {nullptr, 1};
  executor = &bad;
  EXPECT_EQ(run(), "1: executor: expected parallel_for and 1 worker or more");
}

TEST_F(RunTest, TracesEachDispatch) {
  std::string log;
  lutra_trace tracer = {[](void *data, int64_t index,
                           const lutra_dispatch_desc *dispatch, int begin) {
                          *static_cast<std::string *>(data) +=
                              std::to_string(index) + dispatch->kernel + "(" +
                              dispatch->nodes + ")" + (begin ? "<" : ">");
                        },
                        &log};
  trace = &tracer;
  EXPECT_EQ(run(), "0: ok");
  EXPECT_EQ(log, "0add_row(Add_0)<0add_row(Add_0)>"
                 "1add_weights(Add_1, Cast_2)<1add_weights(Add_1, Cast_2)>");
}

TEST_F(RunTest, FindsByName) {
  int32_t index = -1;
  EXPECT_EQ(take(lutra_find_input(model.get(), "bias", &index)), "ok");
  EXPECT_EQ(index, 1);
  EXPECT_EQ(take(lutra_find_input(model.get(), "image", &index)),
            "no input is named 'image'; expected one of: 'x', 'bias'");
  EXPECT_EQ(take(lutra_find_output(model.get(), nullptr, &index)),
            "no output is named '(null)'; expected one of: 'sum'");
}

TEST_F(RunTest, AnswersSizes) {
  int64_t dims[1], shapes[2];
  size_t bytes = 0;
  EXPECT_EQ(take(lutra_bind_dims(model.get(), nullptr, inputs.data(), 2, dims)),
            "ok");
  EXPECT_EQ(dims[0], 2);
  EXPECT_EQ(take(lutra_output_shapes(model.get(), dims, shapes)), "ok");
  EXPECT_EQ(shapes[0], 2);
  EXPECT_EQ(shapes[1], 4);
  EXPECT_EQ(take(lutra_workspace_size(model.get(), dims, 1, &bytes)), "ok");
  EXPECT_EQ(bytes, 32u);
  EXPECT_EQ(take(lutra_workspace_size(model.get(), dims, 0, &bytes)),
            "expected 1 worker or more, got 0");
  EXPECT_EQ(take(lutra_workspace_size(model.get(), nullptr, 1, &bytes)),
            "expected 1 dims, got null");
  dims[0] = 100;
  EXPECT_EQ(take(lutra_output_shapes(model.get(), dims, shapes)),
            "dim 'batch': expected 0 to 64, got 100");
}

TEST_F(RunTest, ManyThreadsRunOneModelOnOnePool) {
  lutra_pool *pool = nullptr;
  ASSERT_EQ(take(lutra_pool_create(3, &pool)), "ok");
  std::atomic<int> wrong = 0;
  auto work = [&](int seed) {
    alignas(64) float in[64 * 4], out[64 * 4];
    alignas(64) char space[64 * 16];
    int64_t shape[] = {64, 4};
    for (int i = 0; i < 256; ++i)
      in[i] = static_cast<float>(i + seed);
    lutra_tensor args[] = {{in, LUTRA_FLOAT32, 2, shape}, inputs[1]};
    lutra_tensor result = {out, LUTRA_FLOAT32, 2, shape};
    for (int round = 0; round < 200; ++round) {
      std::fill(std::begin(out), std::end(out), -1.0f);
      if (lutra_status *status =
              lutra_run(model.get(), lutra_pool_executor(pool), nullptr, args,
                        2, &result, 1, space, sizeof(space), nullptr)) {
        lutra_status_free(status);
        ++wrong;
      }
      for (int i = 0; i < 256; ++i)
        wrong += out[i] != in[i] + bias[i % 4] + static_cast<float>(i % 4 + 1);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(work, i);
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
  lutra_pool_destroy(pool);
}

/// Two inputs that share a dim, of any range.
class DimTest : public testing::Test {
protected:
  std::string bind(int64_t a, int64_t b, lutra_dim_desc dim) {
    const int64_t symbolic[] = {-1};
    const lutra_tensor_desc tensors[] = {{"ids", LUTRA_INT64, 1, symbolic},
                                         {"mask", LUTRA_INT64, 1, symbolic}};
    lutra_model_desc desc = lutra_model_fake;
    desc.inputs = tensors;
    desc.dims = &dim;
    ModelPtr model = makeModel(desc);
    lutra_tensor inputs[] = {{nullptr, LUTRA_INT64, 1, &a},
                             {nullptr, LUTRA_INT64, 1, &b}};
    return take(lutra_bind_dims(model.get(), nullptr, inputs, 2, nullptr));
  }
};

TEST_F(DimTest, TwoSizes) {
  EXPECT_EQ(bind(3, 3, {"seq", 1, 9, 1}), "ok");
  EXPECT_EQ(bind(3, 4, {"seq", 1, 9, 1}),
            "dim 'seq': expected 3 as in input 'ids', got 4 in input 'mask'");
}

TEST_F(DimTest, Multiple) {
  EXPECT_EQ(bind(16, 16, {"seq", 8, 64, 8}), "ok");
  EXPECT_EQ(bind(12, 12, {"seq", 8, 64, 8}),
            "dim 'seq': expected a multiple of 8, got 12 in input 'ids'");
}

TEST_F(DimTest, BelowAnOpenRange) {
  EXPECT_EQ(bind(0, 0, {"seq", 1, INT64_MAX, 1}),
            "dim 'seq': expected 1 or more, got 0 in input 'ids'");
}

TEST_F(DimTest, MoreBytesThanThereAre) {
  int64_t huge = INT64_MAX / 2;
  EXPECT_EQ(bind(huge, huge, {"seq", 1, INT64_MAX, 1}),
            "input 'ids': expected below 2^63 bytes, got shape "
            "[4611686018427387903]");
}

TEST(PlanTest, OverflowIsAnError) {
  lutra_model_desc desc = lutra_model_fake;
  desc.plan = [](const int64_t *, int64_t, int64_t *bytes, int64_t *shapes) {
    *bytes = 64;
    shapes[0] = INT64_MAX;
    shapes[1] = 4;
  };
  ModelPtr model = makeModel(desc);
  int64_t dims[] = {1}, shapes[2];
  EXPECT_EQ(take(lutra_output_shapes(model.get(), dims, shapes)),
            "model 'fake': these dims need more memory than 2^63 bytes");
}

} // namespace

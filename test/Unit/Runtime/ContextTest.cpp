//===- ContextTest.cpp - Contexts grow their workspace ----------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#include <vector>

using namespace lutra::test;

namespace {

TEST(ContextTest, RunsEachSize) {
  ModelPtr model = makeModel(lutra_model_fake);
  lutra_pool *pool = nullptr;
  ASSERT_EQ(take(lutra_pool_create(2, &pool)), "ok");
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), lutra_pool_executor(pool),
                                      &context)),
            "ok");
  for (int64_t batch : {1, 64, 0, 33}) {
    std::vector<float> x(batch * 4, 1.0f), sum(batch * 4), bias(4, 2.0f);
    int64_t shape[] = {batch, 4}, row[] = {4};
    lutra_tensor inputs[] = {{x.data(), LUTRA_FLOAT32, 2, shape},
                             {bias.data(), LUTRA_FLOAT32, 1, row}};
    lutra_tensor output = {sum.data(), LUTRA_FLOAT32, 2, shape};
    EXPECT_EQ(take(lutra_context_run(context, inputs, 2, &output, 1)), "ok");
    for (int64_t i = 0; i < batch * 4; ++i)
      ASSERT_EQ(sum[i], static_cast<float>(4 + i % 4));
  }
  lutra_context_destroy(context);
  lutra_pool_destroy(pool);
}

int plans = 0;

TEST(ContextTest, PlansOnce) {
  lutra_model_desc desc = lutra_model_fake;
  desc.plan = [](const int64_t *dims, int64_t workers, int64_t *bytes,
                 int64_t *shapes) {
    ++plans;
    lutra_model_fake.plan(dims, workers, bytes, shapes);
  };
  ModelPtr model = makeModel(desc);
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), nullptr, &context)), "ok");
  float x[4] = {}, bias[4] = {}, sum[4];
  int64_t shape[] = {1, 4}, row[] = {4};
  lutra_tensor inputs[] = {{x, LUTRA_FLOAT32, 2, shape},
                           {bias, LUTRA_FLOAT32, 1, row}};
  lutra_tensor output = {sum, LUTRA_FLOAT32, 2, shape};
  for (int run = 1; run <= 2; ++run) {
    EXPECT_EQ(take(lutra_context_run(context, inputs, 2, &output, 1)), "ok");
    EXPECT_EQ(plans, run);
  }
  lutra_context_destroy(context);
}

TEST(ContextTest, SaysWhatIsWrong) {
  ModelPtr model = makeModel(lutra_model_fake);
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), nullptr, &context)), "ok");
  EXPECT_EQ(take(lutra_context_run(context, nullptr, 2, nullptr, 1)),
            "expected 2 inputs, got 0");
  float x[4] = {}, bias[4] = {};
  int64_t shape[] = {1, 4}, row[] = {4};
  lutra_tensor inputs[] = {{x, LUTRA_FLOAT32, 2, shape},
                           {bias, LUTRA_FLOAT32, 1, row}};
  EXPECT_EQ(take(lutra_context_run(context, inputs, 2, nullptr, 1)),
            "expected 1 output, got 0");
  lutra_context_destroy(context);
}

TEST(ContextTest, TraceCanEnd) {
  ModelPtr model = makeModel(lutra_model_fake);
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), nullptr, &context)), "ok");
  int calls = 0;
  auto count = [](void *data, int64_t, const lutra_dispatch_desc *, int) {
    ++*static_cast<int *>(data);
  };
  float x[4] = {}, bias[4] = {}, sum[4];
  int64_t shape[] = {1, 4}, row[] = {4};
  lutra_tensor inputs[] = {{x, LUTRA_FLOAT32, 2, shape},
                           {bias, LUTRA_FLOAT32, 1, row}};
  lutra_tensor output = {sum, LUTRA_FLOAT32, 2, shape};
  lutra_context_trace(context, count, &calls);
  EXPECT_EQ(take(lutra_context_run(context, inputs, 2, &output, 1)), "ok");
  EXPECT_EQ(calls, 4);
  lutra_context_trace(context, nullptr, nullptr);
  EXPECT_EQ(take(lutra_context_run(context, inputs, 2, &output, 1)), "ok");
  EXPECT_EQ(calls, 4);
  lutra_context_destroy(context);
}

TEST(ContextTest, ManyDimsUseTheHeap) {
  // More than the room that a run has inline.
  const int count = 300;
  std::vector<int64_t> symbols(count), sizes(count, 1), outSizes(2);
  std::vector<lutra_dim_desc> dims(count, {"d", 1, 8, 1});
  std::vector<lutra_tensor_desc> inputs;
  std::vector<lutra_tensor> tensors;
  float value = 5;
  for (int i = 0; i < count; ++i) {
    symbols[i] = -1 - i;
    inputs.push_back({"i", LUTRA_FLOAT32, 1, &symbols[i]});
    tensors.push_back({&value, LUTRA_FLOAT32, 1, &sizes[i]});
  }
  lutra_model_desc desc = lutra_model_fake;
  desc.inputs = inputs.data();
  desc.input_count = desc.dim_count = count;
  desc.dims = dims.data();
  desc.run = [](const lutra_call *call) {
    float total = 0;
    for (int i = 0; i < count; ++i)
      total += *static_cast<const float *>(call->inputs[i]) *
               static_cast<float>(call->dims[i]);
    *static_cast<float *>(call->outputs[0]) = total;
  };
  ModelPtr model = makeModel(desc);
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), nullptr, &context)), "ok");
  float sum[4] = {};
  int64_t shape[] = {1, 4};
  lutra_tensor output = {sum, LUTRA_FLOAT32, 2, shape};
  EXPECT_EQ(take(lutra_context_run(context, tensors.data(), count, &output, 1)),
            "ok");
  EXPECT_EQ(sum[0], 1500);
  lutra_context_destroy(context);
}

} // namespace

//===- StateTest.cpp - What runs append to ----------------------*- C++ -*-===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Fake.h"

#include <atomic>
#include <thread>
#include <vector>

using namespace lutra::test;

namespace {

struct DestroyState {
  void operator()(lutra_state *state) const { lutra_state_destroy(state); }
};
using StatePtr = std::unique_ptr<lutra_state, DestroyState>;

StatePtr makeState(const ModelPtr &model) {
  lutra_state *state = nullptr;
  EXPECT_EQ(take(lutra_state_create(model.get(), &state)), "ok");
  return StatePtr(state);
}

/// A run of the model "sums": `count` rows, all of `value` times the batch's
/// number from 1. `all` is the size of the mask.
class Append {
public:
  Append(int64_t count, int64_t all, float value, int64_t batch)
      : xShape{batch, 2, count, 3}, maskShape{batch, all},
        totalShape{batch, 2, 3}, runShape{batch}, x(batch * 6 * count),
        mask(batch * all), total(batch * 6), last(batch) {
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = value * static_cast<float>(1 + i / (6 * count));
  }

  int64_t xShape[4], maskShape[2], totalShape[3], runShape[1];
  std::vector<float> x;
  std::vector<int64_t> mask;
  std::vector<float> total;
  std::vector<int64_t> last;
  lutra_tensor inputs[2] = {{x.data(), LUTRA_FLOAT32, 4, xShape},
                            {mask.data(), LUTRA_INT64, 2, maskShape}};
  lutra_tensor outputs[2] = {{total.data(), LUTRA_FLOAT32, 3, totalShape},
                             {last.data(), LUTRA_INT64, 1, runShape}};
};

class StateTest : public testing::Test {
protected:
  StatePtr fork(const StatePtr &state) {
    lutra_state *copy = nullptr;
    EXPECT_EQ(take(lutra_state_fork(state.get(), &copy)), "ok");
    return StatePtr(copy);
  }

  std::string append(const StatePtr &state, int64_t count, float value,
                     int64_t batch = 1) {
    Append args(count, (state ? lutra_state_length(state.get()) : 0) + count,
                value, batch);
    std::string message =
        takeWithCode(lutra_run(model.get(), nullptr, state.get(), args.inputs,
                               2, args.outputs, 2, nullptr, 0, nullptr));
    total = args.total;
    last = args.last;
    return message;
  }

  ModelPtr model = makeModel(lutra_model_sums);
  std::vector<float> total;
  std::vector<int64_t> last;
};

using Totals = std::vector<float>;
using Runs = std::vector<int64_t>;

TEST_F(StateTest, RunsAppend) {
  StatePtr state = makeState(model);
  EXPECT_EQ(lutra_state_length(state.get()), 0);
  EXPECT_EQ(lutra_state_capacity(state.get()), 8);
  EXPECT_EQ(append(state, 3, 1, 2), "0: ok");
  EXPECT_EQ(total, Totals({3, 3, 3, 3, 3, 3, 6, 6, 6, 6, 6, 6}));
  EXPECT_EQ(lutra_state_length(state.get()), 3);
  EXPECT_EQ(append(state, 1, 10, 2), "0: ok");
  EXPECT_EQ(append(state, 0, 10, 2), "0: ok");
  EXPECT_EQ(append(state, 2, 100, 2), "0: ok");
  EXPECT_EQ(lutra_state_length(state.get()), 6);
  EXPECT_EQ(total[0], 213);
  EXPECT_EQ(total[11], 426);
  EXPECT_EQ(last, Runs({3, 3}));
}

TEST_F(StateTest, FullStateRunsNothing) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 5, 1), "0: ok");
  EXPECT_EQ(append(state, 4, 9),
            "1: state is full: room for 8, holds 5, this run adds 4");
  EXPECT_EQ(total, Totals(6, 0));
  EXPECT_EQ(lutra_state_length(state.get()), 5);
  EXPECT_EQ(append(state, 3, 2), "0: ok");
  EXPECT_EQ(total[0], 11);
  EXPECT_EQ(append(state, 1, 2),
            "1: state is full: room for 8, holds 8, this run adds 1");
}

TEST_F(StateTest, FirstRunIsTooLarge) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 9, 1, 2),
            "1: state is full: room for 8, holds 0, this run adds 9");
  // It has not settled the batch.
  EXPECT_EQ(append(state, 8, 1, 3), "0: ok");
}

TEST_F(StateTest, TruncateForgetsTheRest) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 2, 1), "0: ok");
  EXPECT_EQ(append(state, 5, 50), "0: ok");
  EXPECT_EQ(take(lutra_state_truncate(state.get(), 3)), "ok");
  EXPECT_EQ(lutra_state_length(state.get()), 3);
  EXPECT_EQ(append(state, 1, 7), "0: ok");
  EXPECT_EQ(total[0], 1 + 1 + 50 + 7);
  EXPECT_EQ(take(lutra_state_truncate(state.get(), 5)),
            "state: expected a length of 0 to 4, got 5");
  EXPECT_EQ(take(lutra_state_truncate(state.get(), -1)),
            "state: expected a length of 0 to 4, got -1");
  EXPECT_EQ(lutra_state_length(state.get()), 4);
  // The batch stays.
  EXPECT_EQ(take(lutra_state_truncate(state.get(), 0)), "ok");
  EXPECT_EQ(append(state, 1, 7, 2).substr(0, 33),
            "1: dim 'batch': expected 1 as the");
}

TEST_F(StateTest, ForksAreIndependent) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 3, 1, 2), "0: ok");
  StatePtr other = fork(state);
  EXPECT_EQ(lutra_state_length(other.get()), 3);
  EXPECT_EQ(append(state, 1, 10, 2), "0: ok");
  EXPECT_EQ(append(other, 2, 100, 2), "0: ok");
  EXPECT_EQ(total[0], 203);
  EXPECT_EQ(total[11], 406);
  EXPECT_EQ(append(state, 1, 0, 2), "0: ok");
  EXPECT_EQ(total[0], 13);
  EXPECT_EQ(total[11], 26);
  EXPECT_EQ(last, Runs({3, 3}));
  state.reset();
  EXPECT_EQ(append(other, 1, 0, 2), "0: ok");
  EXPECT_EQ(total[0], 203);
}

TEST_F(StateTest, ForkOfAnEmptyStateIsFree) {
  StatePtr state = makeState(model);
  StatePtr fresh = fork(state);
  EXPECT_EQ(append(fresh, 1, 1, 4), "0: ok");
  EXPECT_EQ(append(state, 1, 1, 2), "0: ok");
  lutra_state_reset(state.get());
  EXPECT_EQ(append(fork(state), 1, 1, 3), "0: ok");
}

TEST_F(StateTest, AnotherBatchNeedsAReset) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 2, 1, 2), "0: ok");
  EXPECT_EQ(append(state, 1, 1, 3),
            "1: dim 'batch': expected 2 as the state holds since it was reset, "
            "got 3");
  EXPECT_EQ(lutra_state_length(state.get()), 2);
  for (int64_t batch : {3, 3, 1, 0}) {
    lutra_state_reset(state.get());
    EXPECT_EQ(lutra_state_length(state.get()), 0);
    EXPECT_EQ(append(state, 8, 2, batch), "0: ok");
    EXPECT_EQ(total, [&] {
      Totals expected;
      for (int64_t b = 0; b < batch; ++b)
        expected.insert(expected.end(), 6, 16 * static_cast<float>(b + 1));
      return expected;
    }());
  }
}

TEST_F(StateTest, AFailingRunLeavesTheState) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 2, 1), "0: ok");
  Append args(1, 4, 9, 1);
  auto run = [&] {
    return takeWithCode(lutra_run(model.get(), nullptr, state.get(),
                                  args.inputs, 2, args.outputs, 2, nullptr, 0,
                                  nullptr));
  };
  EXPECT_EQ(run(), "1: dim 'all': expected the size that the other dims "
                   "determine, got 4");
  args.maskShape[1] = 3;
  args.inputs[0].data = nullptr;
  EXPECT_EQ(run(), "1: input 'x': expected 24 bytes of data, got null");
  args.inputs[0].dtype = LUTRA_INT8;
  EXPECT_EQ(run(), "1: input 'x': expected dtype float32, got int8");
  EXPECT_EQ(lutra_state_length(state.get()), 2);
  EXPECT_EQ(append(state, 1, 1), "0: ok");
  EXPECT_EQ(total[0], 3);
}

TEST_F(StateTest, OnlyStatesOfTheModel) {
  ModelPtr fake = makeModel(lutra_model_fake),
           twin = makeModel(lutra_model_sums);
  lutra_state *none = nullptr;
  EXPECT_EQ(takeWithCode(lutra_state_create(fake.get(), &none)),
            "1: model 'fake' keeps no state; compile it with --state");
  EXPECT_EQ(append(nullptr, 1, 1),
            "1: model 'sums' keeps state: expected one, got none");
  StatePtr other = makeState(twin);
  EXPECT_EQ(append(other, 1, 1), "1: expected a state of this model, 'sums', "
                                 "got one of another model, 'sums'");
  EXPECT_EQ(take(lutra_bind_dims(fake.get(), other.get(), nullptr, 0, nullptr)),
            "model 'fake' keeps no state: expected none, got one");
}

TEST_F(StateTest, SizesDependOnTheLength) {
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 3, 1, 2), "0: ok");
  Append args(2, 5, 1, 2);
  int64_t dims[4], shapes[5] = {0, 0, 0, 0, -7};
  EXPECT_EQ(
      take(lutra_bind_dims(model.get(), state.get(), args.inputs, 2, dims)),
      "ok");
  EXPECT_EQ(std::vector<int64_t>(dims, dims + 4), Runs({2, 2, 3, 5}));
  EXPECT_EQ(take(lutra_output_shapes(model.get(), dims, shapes)), "ok");
  // The length is the runtime's own: nothing lies behind the outputs' sizes.
  EXPECT_EQ(std::vector<int64_t>(shapes, shapes + 5), Runs({2, 2, 3, 2, -7}));
}

TEST_F(StateTest, ContextsAppendToTheStateInUse) {
  StatePtr first = makeState(model), second = makeState(model);
  lutra_context *context = nullptr;
  ASSERT_EQ(take(lutra_context_create(model.get(), nullptr, &context)), "ok");
  Append args(2, 2, 1, 1);
  auto run = [&] {
    return take(lutra_context_run(context, args.inputs, 2, args.outputs, 2));
  };
  EXPECT_EQ(run(), "model 'sums' keeps state: expected one, got none");
  for (const StatePtr &state : {std::cref(first), std::cref(second)}) {
    lutra_context_use_state(context, state.get());
    EXPECT_EQ(run(), "ok");
    EXPECT_EQ(lutra_state_length(state.get()), 2);
  }
  lutra_context_destroy(context);
}

TEST_F(StateTest, ThreadsWithStatesOfTheirOwn) {
  std::atomic<int> wrong = 0;
  auto work = [&](float value) {
    StatePtr state = makeState(model);
    for (int round = 0; round < 50; ++round) {
      lutra_state_reset(state.get());
      for (int64_t length = 0; length < 8; length += 2) {
        Append args(2, length + 2, value, 2);
        wrong += lutra_run(model.get(), nullptr, state.get(), args.inputs, 2,
                           args.outputs, 2, nullptr, 0, nullptr) != nullptr;
        wrong += args.total[0] != value * static_cast<float>(length + 2);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i <= 4; ++i)
    threads.emplace_back(work, static_cast<float>(i));
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(StateTest, LengthThatAnInputHasAsWell) {
  lutra_model_desc desc = lutra_model_sums;
  const int64_t past[] = {-3};
  std::vector<lutra_tensor_desc> inputs(desc.inputs, desc.inputs + 2);
  inputs.push_back({"past", LUTRA_FLOAT32, 1, past});
  desc.inputs = inputs.data();
  desc.input_count = 3;
  model = makeModel(desc);
  StatePtr state = makeState(model);
  Append args(1, 1, 1, 1);
  const int64_t five = 5;
  lutra_tensor tensors[] = {
      args.inputs[0], args.inputs[1], {nullptr, LUTRA_FLOAT32, 1, &five}};
  EXPECT_EQ(
      take(lutra_bind_dims(model.get(), state.get(), tensors, 3, nullptr)),
      "dim 'length': expected 0 as in the state, got 5 in input 'past'");
}

TEST_F(StateTest, MoreBytesThanThereAre) {
  lutra_model_desc desc = lutra_model_sums;
  const int64_t huge[] = {-1, INT64_MAX / 8, 8, 2};
  lutra_state_desc states[] = {desc.states[0], desc.states[1]};
  states[0].shape = huge;
  desc.states = states;
  model = makeModel(desc);
  EXPECT_EQ(append(makeState(model), 1, 1),
            "1: model 'sums': these dims need more memory than 2^63 bytes");
}

TEST_F(StateTest, PlanThatShortensAState) {
  lutra_model_desc desc = lutra_model_sums;
  desc.plan = [](const int64_t *dims, int64_t, int64_t *bytes,
                 int64_t *shapes) {
    *bytes = 0;
    shapes[0] = shapes[3] = dims[0];
    shapes[1] = 2;
    shapes[2] = 3;
    shapes[4] = -1;
  };
  model = makeModel(desc);
  StatePtr state = makeState(model);
  EXPECT_EQ(append(state, 1, 1),
            "2: model 'sums': expected a run to bring a state of length 0 to "
            "that or more, got -1");
  EXPECT_EQ(lutra_state_length(state.get()), 0);
}

TEST(StateDescriptorTest, IsChecked) {
  lutra_model_desc desc;
  lutra_state_desc states[2];
  int64_t shape[] = {-1, 2, 8, 3};
  auto restore = [&] {
    desc = lutra_model_sums;
    std::copy_n(desc.states, 2, states);
    desc.states = states;
    states[0].shape = shape;
    std::copy_n(lutra_model_sums.states[0].shape, 4, shape);
  };
  auto create = [&] {
    lutra_model *model = nullptr;
    std::string message = take(lutra_model_create(&desc, "", 0, &model));
    lutra_model_destroy(model);
    restore();
    const std::string prefix = "linked model: invalid model descriptor: ";
    return message.substr(message.find(prefix) == 0 ? prefix.size() : 0);
  };
  restore();
  EXPECT_EQ(create(), "ok");
  for (int32_t count : {-1, INT32_MAX}) {
    desc.state_count = count;
    EXPECT_EQ(create(), "bad list of states");
  }
  desc.states = nullptr;
  EXPECT_EQ(create(), "bad list of states");
  for (int32_t dim : {-1, 4, INT32_MIN, INT32_MAX}) {
    desc.state_dim = dim;
    EXPECT_EQ(create(), "the length of the states is no dimension");
  }
  desc.state_count = 0;
  EXPECT_EQ(create(), "the length of the states is no dimension");
  states[1].name = nullptr;
  EXPECT_EQ(create(), "a state has no name");
  states[1].dtype = 8;
  EXPECT_EQ(create(), "a state has an unknown element type");
  for (int32_t rank : {-1, 0, 65}) {
    states[0].rank = rank;
    EXPECT_EQ(create(), "a state has a bad rank");
  }
  states[0].shape = nullptr;
  EXPECT_EQ(create(), "a state has a bad rank");
  for (int64_t axis : {int64_t(-1), int64_t(4), INT64_MIN, INT64_MAX}) {
    states[0].axis = axis;
    EXPECT_EQ(create(), "a state has a bad axis");
  }
  // The axis must have a capacity; no other dim may be the length.
  for (auto [axis, size] : std::vector<std::pair<int, int64_t>>{
           {2, -1}, {2, INT64_MIN}, {0, -3}, {0, -5}, {1, INT64_MIN}}) {
    shape[axis] = size;
    EXPECT_EQ(create(), "a state has a bad shape");
  }
}

} // namespace

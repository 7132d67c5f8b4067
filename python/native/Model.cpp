//===- Model.cpp - The runtime --------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Binds lutra/runtime.h. Arrays come and go as buffers that python/lutra has
// made dense; a dtype travels as its number, since numpy has no bfloat16.
//
//===----------------------------------------------------------------------===//

#include "Native.h"
#include "lutra/runtime.h"
#include <cstdlib>
#include <memory>
#include <mutex>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <new>
#include <stdexcept>

namespace nb = nanobind;

namespace {

struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(lutra_status *status) {
  if (!status)
    return;
  std::string message = lutra_status_message(status);
  lutra_status_free(status);
  throw RunError(message);
}

/// A dtype and an array of that element size.
using Input = std::tuple<int32_t, nb::ndarray<nb::ro, nb::c_contig>>;
using Output = std::tuple<int32_t, nb::ndarray<nb::c_contig>>;
using Shape = std::vector<int64_t>;

/// The runtime's view of arrays, which must outlive it.
template <typename Array>
class Views {
public:
  explicit Views(const std::vector<Array> &arrays) {
    shapes.reserve(arrays.size());
    for (const auto &[dtype, array] : arrays) {
      Shape &shape = shapes.emplace_back();
      for (size_t i = 0; i < array.ndim(); ++i)
        shape.push_back(array.shape(i));
      views.push_back(
          {const_cast<void *>(static_cast<const void *>(array.data())),
           static_cast<lutra_dtype>(dtype), static_cast<int32_t>(shape.size()),
           shape.data()});
    }
  }
  const lutra_tensor *data() const { return views.data(); }
  int32_t size() const { return static_cast<int32_t>(views.size()); }

private:
  std::vector<Shape> shapes;
  std::vector<lutra_tensor> views;
};

using ModelPtr = std::shared_ptr<lutra_model>;

/// A runtime's state, which keeps its model alive. Calls from several threads
/// at once take turns: the runtime's is for one at a time.
class State {
public:
  explicit State(ModelPtr model, lutra_state *state)
      : model(std::move(model)), state(state) {}
  State(const State &) = delete;
  ~State() { lutra_state_destroy(state); }

  int64_t length() {
    std::lock_guard<std::mutex> lock(mutex);
    return lutra_state_length(state);
  }
  int64_t capacity() const { return lutra_state_capacity(state); }
  void reset() {
    std::lock_guard<std::mutex> lock(mutex);
    lutra_state_reset(state);
  }
  void truncate(int64_t length) {
    std::lock_guard<std::mutex> lock(mutex);
    check(lutra_state_truncate(state, length));
  }
  std::unique_ptr<State> fork() {
    std::lock_guard<std::mutex> lock(mutex);
    lutra_state *copy = nullptr;
    check(lutra_state_fork(state, &copy));
    return std::make_unique<State>(model, copy);
  }

  /// Holds a state (or none) for one thread.
  class Use {
  public:
    explicit Use(State *state) : state(state) {
      if (state)
        state->mutex.lock();
    }
    Use(const Use &) = delete;
    ~Use() {
      if (state)
        state->mutex.unlock();
    }
    lutra_state *get() const { return state ? state->state : nullptr; }

  private:
    State *state;
  };

private:
  ModelPtr model;
  lutra_state *state;
  std::mutex mutex;
};

/// A loaded artifact with its threads. Calls from several threads at once each
/// take a context of their own, which goes back for the next.
class Model {
public:
  Model(const std::string &path, int64_t workers) {
    try {
      check(lutra_pool_create(workers, &pool));
      lutra_model *loaded = nullptr;
      check(lutra_model_load(path.c_str(), nullptr, 0, &loaded));
      model.reset(loaded, lutra_model_destroy);
    } catch (...) {
      release();
      throw;
    }
  }
  Model(const Model &) = delete;
  ~Model() { release(); }

  const lutra_model_desc &info() const {
    return *lutra_model_info(model.get());
  }

  std::unique_ptr<State> makeState() const {
    lutra_state *state = nullptr;
    check(lutra_state_create(model.get(), &state));
    return std::make_unique<State>(model, state);
  }

  std::vector<Shape> outputShapes(const std::vector<Input> &inputs,
                                  State *state) const {
    Views<Input> views(inputs);
    nb::gil_scoped_release release;
    Shape dims(info().dim_count);
    check(lutra_bind_dims(model.get(), State::Use(state).get(), views.data(),
                          views.size(), dims.data()));
    size_t ranks = 0;
    for (int32_t i = 0; i < info().output_count; ++i)
      ranks += info().outputs[i].rank;
    Shape flat(ranks);
    check(lutra_output_shapes(model.get(), dims.data(), flat.data()));
    std::vector<Shape> shapes;
    auto next = flat.begin();
    for (int32_t i = 0; i < info().output_count; ++i) {
      shapes.emplace_back(next, next + info().outputs[i].rank);
      next += info().outputs[i].rank;
    }
    return shapes;
  }

  void run(const std::vector<Input> &inputs, const std::vector<Output> &outputs,
           State *state) {
    Views<Input> in(inputs);
    Views<Output> out(outputs);
    nb::gil_scoped_release release;
    State::Use use(state);
    lutra_context *context = takeContext();
    lutra_context_use_state(context, use.get());
    lutra_status *status = lutra_context_run(context, in.data(), in.size(),
                                             out.data(), out.size());
    giveContext(context);
    check(status);
  }

private:
  lutra_context *takeContext() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (!contexts.empty()) {
        lutra_context *context = contexts.back();
        contexts.pop_back();
        return context;
      }
    }
    lutra_context *context;
    check(
        lutra_context_create(model.get(), lutra_pool_executor(pool), &context));
    return context;
  }

  void giveContext(lutra_context *context) {
    std::lock_guard<std::mutex> lock(mutex);
    contexts.push_back(context);
  }

  void release() {
    for (lutra_context *context : contexts)
      lutra_context_destroy(context);
    lutra_pool_destroy(pool);
  }

  lutra_pool *pool = nullptr;
  ModelPtr model;
  std::mutex mutex;
  std::vector<lutra_context *> contexts;
};

/// (name, dtype, shape), the shape as in lutra_tensor_desc.
template <typename Desc>
nb::list describe(const Desc *tensors, int32_t count) {
  nb::list list;
  for (const Desc *t = tensors; t != tensors + count; ++t)
    list.append(
        nb::make_tuple(t->name, t->dtype, Shape(t->shape, t->shape + t->rank)));
  return list;
}

nb::list describeDims(const Model &model) {
  nb::list list;
  for (int32_t i = 0; i < model.info().dim_count; ++i) {
    const lutra_dim_desc &dim = model.info().dims[i];
    list.append(nb::make_tuple(dim.name, dim.min, dim.max, dim.multiple));
  }
  return list;
}

nb::dict describeModel(const Model &model) {
  const lutra_model_desc &info = model.info();
  nb::dict dict;
  dict["name"] = info.name;
  dict["compiler"] = info.compiler;
  dict["abi_version"] = info.abi_version;
  dict["triple"] = info.triple;
  dict["cpu"] = info.cpu;
  dict["features"] = info.features;
  dict["weights_size"] = info.weights_size;
  dict["weights_embedded"] = info.weights != nullptr;
  nb::list dispatches;
  for (int32_t i = 0; i < info.dispatch_count; ++i)
    dispatches.append(
        nb::make_tuple(info.dispatches[i].kernel, info.dispatches[i].nodes));
  dict["dispatches"] = dispatches;
  return dict;
}

/// Memory that begins with a cache line, so that no vector that a kernel stores
/// lies in two; what malloc gives begins with 16 bytes.
class Memory {
public:
  explicit Memory(size_t bytes) : bytes(bytes) {
    constexpr size_t kLine = LUTRA_WORKSPACE_ALIGNMENT;
    // A multiple of the alignment, as aligned_alloc wants, and not 0.
    if (bytes <= PTRDIFF_MAX)
      data.reset(std::aligned_alloc(kLine, (bytes / kLine + 1) * kLine));
    if (!data)
      throw std::bad_alloc();
  }

  /// Python's buffer protocol.
  static int getBuffer(PyObject *self, Py_buffer *view, int flags) {
    Memory *memory = nb::inst_ptr<Memory>(self);
    return PyBuffer_FillInfo(view, self, memory->data.get(),
                             static_cast<Py_ssize_t>(memory->bytes),
                             /*readonly=*/0, flags);
  }

private:
  struct Free {
    void operator()(void *data) const { std::free(data); }
  };
  std::unique_ptr<void, Free> data;
  size_t bytes;
};

PyType_Slot memorySlots[] = {
    {Py_bf_getbuffer, reinterpret_cast<void *>(Memory::getBuffer)},
    {0, nullptr}};

} // namespace

void lutra::python::addModel(nb::module_ &module) {
  nb::exception<RunError>(module, "RunError");
  using WithoutGil = nb::call_guard<nb::gil_scoped_release>;
  nb::class_<Memory>(module, "Memory", nb::type_slots(memorySlots))
      .def(nb::init<size_t>(), nb::arg("bytes"));
  nb::class_<State>(module, "State")
      .def_prop_ro("length", &State::length, WithoutGil())
      .def_prop_ro("capacity", &State::capacity)
      .def("reset", &State::reset, WithoutGil())
      .def("truncate", &State::truncate, nb::arg("length"), WithoutGil())
      .def("fork", &State::fork, WithoutGil());
  nb::class_<Model>(module, "Model")
      .def(nb::init<const std::string &, int64_t>(), nb::arg("path"),
           nb::arg("workers"), nb::call_guard<nb::gil_scoped_release>())
      .def("make_state", &Model::makeState)
      .def("output_shapes", &Model::outputShapes, nb::arg("inputs"),
           nb::arg("state").none())
      .def("run", &Model::run, nb::arg("inputs"), nb::arg("outputs"),
           nb::arg("state").none())
      .def_prop_ro("inputs",
                   [](const Model &model) {
                     return describe(model.info().inputs,
                                     model.info().input_count);
                   })
      .def_prop_ro("outputs",
                   [](const Model &model) {
                     return describe(model.info().outputs,
                                     model.info().output_count);
                   })
      .def_prop_ro("states",
                   [](const Model &model) {
                     return describe(model.info().states,
                                     model.info().state_count);
                   })
      .def_prop_ro("dims", describeDims)
      .def_prop_ro("info", describeModel);
}

//===- Model.cpp - The runtime --------------------------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Binds lutra/runtime.h, all but the call of a model: Call.cpp.
//
//===----------------------------------------------------------------------===//

#include "Model.h"
#include "Native.h"
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>
#include <new>

namespace nb = nanobind;
using namespace lutra::python;

void lutra::python::check(lutra_status *status) {
  if (!status)
    return;
  std::string message = lutra_status_message(status);
  lutra_status_free(status);
  throw RunError(message);
}

Model::Model(const std::string &path, int64_t workers) {
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

void Model::release() {
  for (lutra_context *context : contexts)
    lutra_context_destroy(context);
  lutra_pool_destroy(pool);
}

std::unique_ptr<State> Model::makeState() const {
  lutra_state *state = nullptr;
  check(lutra_state_create(model.get(), &state));
  return std::make_unique<State>(model, state);
}

lutra_context *Model::takeContext() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (!contexts.empty()) {
      lutra_context *context = contexts.back();
      contexts.pop_back();
      return context;
    }
  }
  lutra_context *context;
  check(lutra_context_create(model.get(), lutra_pool_executor(pool), &context));
  return context;
}

void Model::giveContext(lutra_context *context) {
  std::lock_guard<std::mutex> lock(mutex);
  contexts.push_back(context);
}

/// Bytes of an output, whose sizes the runtime has checked.
static size_t byteSize(const lutra_tensor &tensor) {
  size_t bytes = lutra_dtype_size(tensor.dtype);
  for (int64_t size : llvm::ArrayRef(tensor.shape, tensor.rank))
    bytes *= static_cast<size_t>(size);
  return bytes;
}

static void *allocate(size_t bytes) {
  constexpr size_t kLine = LUTRA_WORKSPACE_ALIGNMENT;
  void *data = nullptr;
  // A multiple of the alignment, as aligned_alloc wants, and not 0.
  if (bytes <= PTRDIFF_MAX)
    data = std::aligned_alloc(kLine, (bytes / kLine + 1) * kLine);
  if (!data)
    throw std::bad_alloc();
  return data;
}

Model::Outputs Model::run(llvm::ArrayRef<lutra_tensor> inputs, State *state) {
  llvm::ArrayRef descs(info().outputs, info().output_count);
  auto inputCount = static_cast<int32_t>(inputs.size());
  // Held from sizes to run, since another thread's run changes the length.
  State::Use use(state);
  llvm::SmallVector<int64_t, 16> dims(info().dim_count);
  check(lutra_bind_dims(model.get(), use.get(), inputs.data(), inputCount,
                        dims.data()));
  size_t ranks = 0;
  for (const lutra_tensor_desc &desc : descs)
    ranks += desc.rank;
  Outputs outputs;
  outputs.shapes.resize(ranks);
  check(lutra_output_shapes(model.get(), dims.data(), outputs.shapes.data()));

  llvm::SmallVector<lutra_tensor, 8> views;
  const int64_t *shape = outputs.shapes.data();
  for (const lutra_tensor_desc &desc : descs) {
    lutra_tensor &view = views.emplace_back(lutra_tensor{
        nullptr, static_cast<lutra_dtype>(desc.dtype), desc.rank, shape});
    view.data = allocate(byteSize(view));
    outputs.data.emplace_back(view.data);
    shape += desc.rank;
  }
  lutra_context *context = takeContext();
  lutra_context_use_state(context, use.get());
  lutra_status *status =
      lutra_context_run(context, inputs.data(), inputCount, views.data(),
                        static_cast<int32_t>(views.size()));
  giveContext(context);
  check(status);
  return outputs;
}

namespace {

/// (name, dtype, shape), the shape as in lutra_tensor_desc.
template <typename Desc>
nb::list describe(const Desc *tensors, int32_t count) {
  nb::list list;
  for (const Desc *t = tensors; t != tensors + count; ++t)
    list.append(nb::make_tuple(
        t->name, t->dtype, std::vector<int64_t>(t->shape, t->shape + t->rank)));
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

} // namespace

void lutra::python::addModel(nb::module_ &module) {
  nb::exception<RunError>(module, "RunError");
  using WithoutGil = nb::call_guard<nb::gil_scoped_release>;
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

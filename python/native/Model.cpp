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
#include <memory>
#include <mutex>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>
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

/// A loaded artifact with its threads. Calls from several threads at once each
/// take a context of their own, which goes back for the next.
class Model {
public:
  Model(const std::string &path, int64_t workers) {
    try {
      check(lutra_pool_create(workers, &pool));
      check(lutra_model_load(path.c_str(), nullptr, 0, &model));
    } catch (...) {
      release();
      throw;
    }
  }
  Model(const Model &) = delete;
  ~Model() { release(); }

  const lutra_model_desc &info() const { return *lutra_model_info(model); }

  std::vector<Shape> outputShapes(const std::vector<Input> &inputs) const {
    Views<Input> views(inputs);
    Shape dims(info().dim_count);
    check(lutra_bind_dims(model, views.data(), views.size(), dims.data()));
    size_t ranks = 0;
    for (int32_t i = 0; i < info().output_count; ++i)
      ranks += info().outputs[i].rank;
    Shape flat(ranks);
    check(lutra_output_shapes(model, dims.data(), flat.data()));
    std::vector<Shape> shapes;
    auto next = flat.begin();
    for (int32_t i = 0; i < info().output_count; ++i) {
      shapes.emplace_back(next, next + info().outputs[i].rank);
      next += info().outputs[i].rank;
    }
    return shapes;
  }

  void run(const std::vector<Input> &inputs,
           const std::vector<Output> &outputs) {
    Views<Input> in(inputs);
    Views<Output> out(outputs);
    nb::gil_scoped_release release;
    lutra_context *context = takeContext();
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
    check(lutra_context_create(model, lutra_pool_executor(pool), &context));
    return context;
  }

  void giveContext(lutra_context *context) {
    std::lock_guard<std::mutex> lock(mutex);
    contexts.push_back(context);
  }

  void release() {
    for (lutra_context *context : contexts)
      lutra_context_destroy(context);
    lutra_model_destroy(model);
    lutra_pool_destroy(pool);
  }

  lutra_pool *pool = nullptr;
  lutra_model *model = nullptr;
  std::mutex mutex;
  std::vector<lutra_context *> contexts;
};

/// (name, dtype, shape), the shape as in lutra_tensor_desc.
nb::list describe(const lutra_tensor_desc *tensors, int32_t count) {
  nb::list list;
  for (const lutra_tensor_desc *t = tensors; t != tensors + count; ++t)
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

} // namespace

void lutra::python::addModel(nb::module_ &module) {
  nb::exception<RunError>(module, "RunError");
  nb::class_<Model>(module, "Model")
      .def(nb::init<const std::string &, int64_t>(), nb::arg("path"),
           nb::arg("workers"), nb::call_guard<nb::gil_scoped_release>())
      .def("output_shapes", &Model::outputShapes)
      .def("run", &Model::run)
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
      .def_prop_ro("dims", describeDims)
      .def_prop_ro("info", describeModel);
}

//===- Call.cpp - Calling a model on numpy's arrays -----------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What most calls pass, dense arrays of the right dtypes, is read here through
// numpy's C interface, since a call into Python or an exchange of buffers takes
// longer than a small model. All else goes through python/lutra first.
//
//===----------------------------------------------------------------------===//

#include "Model.h"
#include "Native.h"

// The oldest numpy that pyproject.toml allows.
#define NPY_TARGET_VERSION NPY_1_24_API_VERSION
#define NPY_NO_DEPRECATED_API NPY_1_24_API_VERSION
#include <numpy/arrayobject.h>

namespace nb = nanobind;
using namespace lutra::python;

namespace {

PyArrayObject *asArray(nb::handle object) {
  return reinterpret_cast<PyArrayObject *>(object.ptr());
}

PyArray_Descr *asDescr(nb::handle object) {
  return reinterpret_cast<PyArray_Descr *>(object.ptr());
}

/// The inputs of one call: what the runtime reads, and what keeps it alive.
class Inputs {
public:
  void add(int32_t dtype, nb::handle array) {
    arrays.push_back(nb::borrow(array));
    views.push_back({PyArray_DATA(asArray(array)),
                     static_cast<lutra_dtype>(dtype),
                     PyArray_NDIM(asArray(array)), nullptr});
  }
  void clear() {
    arrays.clear();
    views.clear();
  }

  /// Copies the shapes: another thread may give an array a new one.
  llvm::ArrayRef<lutra_tensor> finish() {
    for (nb::handle array : arrays) {
      const npy_intp *dims = PyArray_DIMS(asArray(array));
      shapes.append(dims, dims + PyArray_NDIM(asArray(array)));
    }
    const int64_t *shape = shapes.data();
    for (lutra_tensor &view : views) {
      view.shape = shape;
      shape += view.rank;
    }
    return views;
  }

private:
  llvm::SmallVector<nb::object, 8> arrays;
  llvm::SmallVector<lutra_tensor, 8> views;
  llvm::SmallVector<int64_t, 32> shapes;
};

/// Calls a model with arrays as Python passes them. Immutable.
class Caller {
public:
  /// `dtypes` are numpy's by their numbers.
  Caller(Model &model, const nb::dict &dtypes)
      : model(model),
        inputs(tensors(model.info().inputs, model.info().input_count, dtypes)),
        outputs(
            tensors(model.info().outputs, model.info().output_count, dtypes)) {}

  /// `given` are one array per input or one dictionary. Where they need more
  /// than to be read, `convert` makes a list of (number of the dtype, dense
  /// array) of them, or raises what is wrong.
  nb::dict call(const nb::tuple &given, State *state,
                const nb::callable &convert) const {
    Inputs arrays;
    nb::object converted;
    if (!readDense(given, arrays)) {
      arrays.clear();
      converted = convert(given);
      for (nb::handle pair : nb::cast<nb::list>(converted))
        arrays.add(nb::cast<int32_t>(pair[0]), nb::object(pair[1]));
    }
    llvm::ArrayRef<lutra_tensor> views = arrays.finish();
    Model::Outputs results;
    {
      nb::gil_scoped_release release;
      results = model.run(views, state);
    }
    return wrap(std::move(results));
  }

private:
  struct Tensor {
    nb::str name;
    int32_t number;
    int32_t rank;
    nb::object dtype;
  };
  using Tensors = std::vector<Tensor>;

  static Tensors tensors(const lutra_tensor_desc *descs, int32_t count,
                         const nb::dict &dtypes) {
    Tensors tensors;
    for (const lutra_tensor_desc &desc : llvm::ArrayRef(descs, count))
      tensors.push_back({nb::str(desc.name), desc.dtype, desc.rank,
                         nb::object(dtypes[nb::int_(desc.dtype)])});
    return tensors;
  }

  static bool isDense(nb::handle object, const Tensor &input) {
    if (!PyArray_Check(object.ptr()))
      return false;
    PyArray_Descr *dtype = PyArray_DESCR(asArray(object));
    // A dtype that was pickled, for one, is not the same object.
    return PyArray_IS_C_CONTIGUOUS(asArray(object)) &&
           (dtype == asDescr(input.dtype) ||
            PyArray_EquivTypes(dtype, asDescr(input.dtype)));
  }

  /// False where an array is missing, superfluous, or not as it should be.
  bool readDense(const nb::tuple &given, Inputs &arrays) const {
    bool named = given.size() == 1 && PyDict_CheckExact(given[0].ptr());
    nb::handle source = named ? given[0].ptr() : given.ptr();
    if (nb::len(source) != inputs.size())
      return false;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor &input = inputs[i];
      nb::handle array =
          named ? PyDict_GetItemWithError(source.ptr(), input.name.ptr())
                : PyTuple_GET_ITEM(source.ptr(), i);
      if (PyErr_Occurred())
        nb::raise_python_error();
      if (!array || !isDense(array, input))
        return false;
      arrays.add(input.number, array);
    }
    return true;
  }

  nb::dict wrap(Model::Outputs results) const {
    nb::dict dict;
    int64_t *shape = results.shapes.data();
    for (auto [output, data] : llvm::zip_equal(outputs, results.data)) {
      dict[output.name] = makeArray(output, shape, data);
      shape += output.rank;
    }
    return dict;
  }

  static nb::object makeArray(const Tensor &output, npy_intp *shape,
                              Memory &data) {
    nb::object owner = nb::steal(PyCapsule_New(data.get(), nullptr, freeData));
    if (!owner)
      nb::raise_python_error();
    void *memory = data.release();
    nb::object dtype = output.dtype;
    nb::object array = nb::steal(PyArray_NewFromDescr(
        &PyArray_Type, asDescr(dtype.release()), output.rank, shape,
        /*strides=*/nullptr, memory, NPY_ARRAY_CARRAY, /*obj=*/nullptr));
    if (!array || PyArray_SetBaseObject(asArray(array), owner.release().ptr()))
      nb::raise_python_error();
    return array;
  }

  static void freeData(PyObject *capsule) {
    std::free(PyCapsule_GetPointer(capsule, nullptr));
  }

  Model &model;
  Tensors inputs, outputs;
};

} // namespace

void lutra::python::addCall(nb::module_ &module) {
  if (_import_array() < 0)
    nb::raise_python_error();
  nb::class_<Caller>(module, "Caller")
      .def(nb::init<Model &, const nb::dict &>(), nb::arg("model"),
           nb::arg("dtypes"), nb::keep_alive<1, 2>())
      .def("call", &Caller::call, nb::arg("given"), nb::arg("state").none(),
           nb::arg("convert"));
}

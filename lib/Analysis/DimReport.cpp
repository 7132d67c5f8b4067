//===- DimReport.cpp - The sizes that a report's numbers are for ----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads `lutra.dims` and picks one size for each dimension, so that a memory
// plan in formulas can be drawn.
//
//===----------------------------------------------------------------------===//

#include "lutra/Analysis/ModelReport.h"
#include "lutra/Analysis/SizeExpressions.h"

using namespace mlir;
using namespace mlir::lutra;

std::vector<std::string> ModelReport::dimNames() const {
  std::vector<std::string> names;
  for (const DimReport &dim : dims)
    names.push_back(dim.name);
  return names;
}

std::vector<int64_t> ModelReport::dimSizes() const {
  std::vector<int64_t> sizes;
  for (const DimReport &dim : dims)
    sizes.push_back(dim.size);
  return sizes;
}

static DimReport readDim(DictionaryAttr dict) {
  auto number = [&](StringRef name) {
    return dict.getAs<IntegerAttr>(name).getInt();
  };
  DimReport dim;
  dim.name = dict.getAs<StringAttr>("name").str();
  dim.min = number("min");
  dim.max = number("max");
  dim.multiple = std::max<int64_t>(1, number("multiple"));
  dim.isDetermined = dict.contains(attr::kEquals);
  // The dimension has a size, so that the next multiple is one.
  int64_t least = std::max<int64_t>(1, dim.min);
  dim.size = (least - 1) / dim.multiple * dim.multiple + dim.multiple;
  dim.size = std::min(dim.size, dim.max);
  return dim;
}

static llvm::Error choose(DimReport &dim, int64_t size) {
  if (dim.isDetermined)
    return llvm::createStringError(
        "the size of dimension '" + dim.name +
        "' in a report follows from those of others");
  if (size < dim.min || size > dim.max || size % dim.multiple != 0)
    return llvm::createStringError("expected a size that dimension '" +
                                   dim.name + "' can have in the report, got " +
                                   Twine(size));
  dim.size = size;
  return llvm::Error::success();
}

llvm::Expected<std::vector<DimReport>>
lutra::reportDims(func::FuncOp host,
                  const std::map<std::string, int64_t> &sizes) {
  std::vector<DimReport> dims;
  auto described = host->getAttrOfType<ArrayAttr>(attr::kDims);
  if (described)
    for (auto dict : described.getAsRange<DictionaryAttr>())
      dims.push_back(readDim(dict));
  for (const auto &entry : sizes) {
    auto it = llvm::find_if(
        dims, [&](const DimReport &dim) { return dim.name == entry.first; });
    if (it == dims.end())
      return llvm::createStringError("the model has no dimension '" +
                                     entry.first + "' to report");
    if (llvm::Error error = choose(*it, entry.second))
      return std::move(error);
  }
  std::vector<int64_t> chosen;
  for (DimReport &dim : dims)
    chosen.push_back(dim.size);
  for (auto [i, dim] : llvm::enumerate(dims)) {
    if (!dim.isDetermined)
      continue;
    auto dict = cast<DictionaryAttr>(described[i]);
    auto equals = dict.getAs<AffineMapAttr>(attr::kEquals).getValue();
    if (std::optional<int64_t> size = evaluate(equals.getResult(0), chosen))
      dim.size = *size;
  }
  return dims;
}

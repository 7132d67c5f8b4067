//===- WeightView.cpp - Rearranged elements of an array -------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A step changes the sizes and every linear form in the same way, be it the
// element's place or a bound: that is what keeps steps composable.
//
//===----------------------------------------------------------------------===//

#include "WeightView.h"

#include "WeightQuantization.h"

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace mlir::lutra;

WeightView::Level WeightView::dense(ArrayRef<int64_t> shape) {
  Level level;
  level.sizes.assign(shape.begin(), shape.end());
  level.strides.resize(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    level.strides[i] = stride;
    stride *= shape[i];
  }
  return level;
}

WeightView::WeightView(ArrayRef<int64_t> shape) {
  levels.push_back(dense(shape));
}

WeightView::WeightView(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides)
    : WeightView(shape) {
  levels.back().strides.assign(strides.begin(), strides.end());
}

void WeightView::transpose(ArrayRef<int64_t> permutation) {
  auto permute = [&](auto &list) {
    auto old = list;
    for (auto [i, from] : llvm::enumerate(permutation))
      list[i] = old[from];
  };
  permute(levels.back().sizes);
  levels.back().forEachForm(permute);
}

void WeightView::pack(int64_t dim, int64_t tile, int64_t outer) {
  Level &level = levels.back();
  int64_t size = level.sizes[dim], tiles = (size + tile - 1) / tile;
  auto split = [&](auto &list, int64_t outerValue, int64_t innerValue) {
    list.erase(list.begin() + dim);
    list.insert(list.begin() + outer, outerValue);
    list.push_back(innerValue);
  };
  Linear position(level.sizes.size(), 0);
  position[dim] = 1;
  if (size % tile != 0)
    level.bounds.push_back({position, size});
  split(level.sizes, tiles, tile);
  level.forEachForm(
      [&](Linear &form) { split(form, form[dim] * tile, form[dim]); });
}

void WeightView::reverse(int64_t dim) {
  Level &level = levels.back();
  int64_t last = level.sizes[dim] - 1;
  // What depends on `last - i` is a form of i but for a constant.
  level.offset += level.strides[dim] * last;
  for (Bound &bound : level.bounds)
    bound.limit -= bound.form[dim] * last;
  level.forEachForm([&](Linear &form) { form[dim] = -form[dim]; });
}

bool WeightView::Level::canMerge(unsigned outer, unsigned inner) const {
  auto fits = [&](const Linear &form) {
    return form[outer] == form[inner] * sizes[inner];
  };
  return fits(strides) && llvm::all_of(bounds, [&](const Bound &bound) {
           return fits(bound.form);
         });
}

void WeightView::Level::dropUnitDims() {
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] != 1)
      continue;
    sizes.erase(sizes.begin() + i);
    forEachForm([&](Linear &form) { form.erase(form.begin() + i); });
  }
}

/// Splits and merges dimensions where groups of old and new ones have equal
/// products. False, with this level untouched but for unit dimensions, where an
/// old group does not merge.
bool WeightView::Level::tryReshape(ArrayRef<int64_t> shape) {
  dropUnitDims();
  // Per new dimension the old one that its index counts in, and how many
  // elements of that one index step spans.
  SmallVector<std::pair<size_t, int64_t>> origin(shape.size());
  size_t next = 0;
  for (size_t i = 0; i < shape.size();) {
    if (shape[i] == 1) {
      origin[i++] = {SIZE_MAX, 0};
      continue;
    }
    size_t firstNew = i, firstOld = next;
    int64_t oldProduct = sizes[next++], newProduct = shape[i++];
    while (oldProduct != newProduct) {
      if (oldProduct < newProduct)
        oldProduct *= sizes[next++];
      else
        newProduct *= shape[i++];
    }
    for (size_t old = firstOld; old + 1 < next; ++old)
      if (!canMerge(old, old + 1))
        return false;
    int64_t span = 1;
    for (size_t j = i; j-- > firstNew;) {
      origin[j] = {next - 1, span};
      span *= shape[j];
    }
  }
  forEachForm([&](Linear &form) {
    Linear result;
    for (auto [dim, span] : origin)
      result.push_back(dim == SIZE_MAX ? 0 : form[dim] * span);
    form = std::move(result);
  });
  sizes.assign(shape.begin(), shape.end());
  return true;
}

void WeightView::reshape(ArrayRef<int64_t> shape) {
  if (!levels.back().tryReshape(shape))
    levels.push_back(dense(shape));
}

void WeightView::finish() {
  Level &level = levels.back();
  level.dropUnitDims();
  for (size_t i = level.sizes.size(); i-- > 1;) {
    if (!level.canMerge(i - 1, i))
      continue;
    level.sizes[i - 1] *= level.sizes[i];
    level.sizes.erase(level.sizes.begin() + i);
    level.forEachForm([&](Linear &form) {
      form[i - 1] = form[i];
      form.erase(form.begin() + i);
    });
  }
  // A row to walk also where there is one element only.
  if (level.sizes.empty()) {
    level.sizes.push_back(1);
    level.forEachForm([](Linear &form) { form.push_back(0); });
    level.strides[0] = 1;
  }
}

bool WeightView::isIdentity() const {
  const Level &level = levels.front();
  return levels.size() == 1 && level.bounds.empty() &&
         level.sizes.size() == 1 && level.strides[0] == 1 && level.offset == 0;
}

static SmallVector<int64_t, 6> indexOf(ArrayRef<int64_t> sizes,
                                       int64_t position) {
  SmallVector<int64_t, 6> index(sizes.size());
  for (size_t i = sizes.size(); i-- > 0;) {
    index[i] = position % sizes[i];
    position /= sizes[i];
  }
  return index;
}

static int64_t evaluate(ArrayRef<int64_t> form, ArrayRef<int64_t> index) {
  int64_t sum = 0;
  for (auto [factor, value] : llvm::zip_equal(form, index))
    sum += factor * value;
  return sum;
}

int64_t WeightView::resolve(size_t level, int64_t position) const {
  for (;; --level) {
    const Level &view = levels[level];
    SmallVector<int64_t, 6> index = indexOf(view.sizes, position);
    for (const Bound &bound : view.bounds)
      if (evaluate(bound.form, index) >= bound.limit)
        return -1;
    position = view.offset + evaluate(view.strides, index);
    if (level == 0)
      return position;
  }
}

template <typename T>
static void copyStrided(const char *source, int64_t stride, int64_t count,
                        char *out) {
  // Signed, since a stride may be negative.
  constexpr int64_t bytes = sizeof(T);
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(out + i * bytes, source + i * stride * bytes, bytes);
}

void WeightElements::copy(int64_t first, int64_t stride, int64_t count,
                          char *out) const {
  if (quantized)
    return quantized->copy(first, stride, count, out);
  if (codes)
    return codes->copy(bytes, first, stride, count, out);
  const char *start = bytes + first * elementBytes;
  if (stride == 1) {
    std::memcpy(out, start, count * elementBytes);
    return;
  }
  switch (elementBytes) {
  case 1:
    return copyStrided<uint8_t>(start, stride, count, out);
  case 2:
    return copyStrided<uint16_t>(start, stride, count, out);
  case 4:
    return copyStrided<uint32_t>(start, stride, count, out);
  default:
    return copyStrided<uint64_t>(start, stride, count, out);
  }
}

/// `count` elements from `index` on, all in one row of the innermost dimension.
void WeightView::gatherRow(const WeightElements &source,
                           ArrayRef<int64_t> index, int64_t count,
                           char *out) const {
  unsigned elementBytes = source.elementBytes;
  const Level &level = levels.back();
  // The elements that are inside are a run, since bounds are linear.
  int64_t begin = 0, end = count;
  for (const Bound &bound : level.bounds) {
    int64_t room = bound.limit - evaluate(bound.form, index);
    int64_t step = bound.form.back();
    if (step < 0 && room <= 0)
      begin = std::min(count, std::max(begin, room / step + 1));
    else if (room <= 0)
      end = 0;
    else if (step > 0)
      end = std::min(end, (room + step - 1) / step);
  }
  int64_t inside = std::max<int64_t>(end - begin, 0);
  int64_t stride = level.strides.back();
  int64_t first = level.offset + evaluate(level.strides, index);
  first += begin * stride;
  std::memset(out, 0, count * elementBytes);
  out += begin * elementBytes;
  if (levels.size() > 1) {
    for (int64_t i = 0; i < inside; ++i) {
      int64_t place = resolve(levels.size() - 2, first + i * stride);
      if (place >= 0)
        source.copy(place, 1, 1, out + i * elementBytes);
    }
  } else if (inside > 0) {
    source.copy(first, stride, inside, out);
  }
}

/// Whole rows of a transposed matrix, in square tiles, so that each cache line
/// of the source is read once. Returns how many rows: 0 where it does not
/// apply.
int64_t WeightView::gatherTiles(const WeightElements &source,
                                ArrayRef<int64_t> index, int64_t rows,
                                char *out) const {
  constexpr int64_t kTile = 64;
  const Level &level = levels.back();
  size_t rank = level.sizes.size();
  if (levels.size() > 1 || rank < 2 || level.strides[rank - 2] != 1 ||
      !level.bounds.empty())
    return 0;
  rows = std::min(rows, level.sizes[rank - 2] - index[rank - 2]);
  int64_t columns = level.sizes.back(), stride = level.strides.back();
  int64_t first = level.offset + evaluate(level.strides, index);
  for (int64_t row = 0; row < rows; row += kTile)
    for (int64_t column = 0; column < columns; column += kTile)
      for (int64_t r = row; r < std::min(row + kTile, rows); ++r)
        source.copy(first + r + column * stride, stride,
                    std::min(kTile, columns - column),
                    out + (r * columns + column) * source.elementBytes);
  return rows;
}

void WeightView::gather(const WeightElements &source, int64_t start,
                        int64_t count, char *out) const {
  ArrayRef<int64_t> sizes = levels.back().sizes;
  SmallVector<int64_t, 6> index = indexOf(sizes, start);
  while (count > 0) {
    int64_t row = sizes.back(), taken = 0;
    if (index.back() == 0 && count >= 2 * row)
      taken = row * gatherTiles(source, index, count / row, out);
    if (taken == 0) {
      taken = std::min(count, row - index.back());
      gatherRow(source, index, taken, out);
    }
    start += taken;
    count -= taken;
    out += taken * source.elementBytes;
    index = indexOf(sizes, start);
  }
}

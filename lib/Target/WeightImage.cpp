//===- WeightImage.cpp - The bytes that kernels read as weights -----------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Walks `lutra.image`, a list of weight expressions and their places, and
// writes one after the other, with zeros between them.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/WeightImage.h"

#include "WeightExpression.h"
#include "dialects/Lutra/Lutra.h"
#include "lutra/Analysis/Caches.h"
#include "mlir/Support/DebugStringHelper.h"
#include "llvm/Support/MathExtras.h"
#include <vector>

using namespace mlir;
using namespace mlir::lutra;

namespace {

struct Entry {
  int64_t at;
  WeightExpression weight;
};

/// Passes bytes on and hashes them (FNV-1a, 64 bits).
class HashingStream : public llvm::raw_ostream {
public:
  explicit HashingStream(llvm::raw_ostream &os) : os(os) { SetUnbuffered(); }

  ImageSummary summary{0, 0xcbf29ce484222325u};

private:
  void write_impl(const char *data, size_t size) override {
    uint64_t hash = summary.hash;
    for (size_t i = 0; i < size; ++i)
      hash = (hash ^ uint8_t(data[i])) * 0x100000001b3u;
    summary.hash = hash;
    summary.size += size;
    os.write(data, size);
  }
  uint64_t current_pos() const override { return summary.size; }

  llvm::raw_ostream &os;
};

} // namespace

char InvalidWeight::ID = 0;

static llvm::Expected<std::vector<Entry>> readEntries(ModuleOp module) {
  std::vector<Entry> entries;
  SharedQuantizations quantizations;
  auto image = module->getAttrOfType<ArrayAttr>(attr::kImage);
  int64_t end = 0;
  for (Attribute item : image ? image.getValue() : ArrayRef<Attribute>()) {
    auto dict = dyn_cast<DictionaryAttr>(item);
    auto at = dict ? dict.getAs<IntegerAttr>("at") : IntegerAttr();
    auto weight =
        dict ? dict.getAs<DictionaryAttr>("weight") : DictionaryAttr();
    auto typeAttr = dict ? dict.getAs<TypeAttr>("type") : TypeAttr();
    auto type = typeAttr ? dyn_cast<RankedTensorType>(typeAttr.getValue())
                         : RankedTensorType();
    if (!at || !weight || !type)
      return llvm::createStringError("expected {at, weight, type} in " +
                                     attr::kImage + ", got " +
                                     debugString(item));
    auto parsed =
        WeightExpression::parse(weight, type, module.getLoc(), &quantizations);
    if (!parsed)
      return parsed.takeError();
    int64_t place = at.getValue().getSExtValue();
    if (place != int64_t(llvm::alignTo(end, kTensorAlignment)))
      return llvm::createStringError(
          "expected a weight at " +
          Twine(llvm::alignTo(end, kTensorAlignment)) + " of the image, got " +
          Twine(place));
    if (llvm::AddOverflow(place, parsed->byteSize(), end) ||
        end > INT64_MAX - kTensorAlignment)
      return llvm::createStringError("expected an image below 2^63 bytes");
    entries.push_back({place, std::move(*parsed)});
  }
  return entries;
}

static uint64_t sizeOf(ArrayRef<Entry> entries) {
  if (entries.empty())
    return 0;
  const Entry &last = entries.back();
  return llvm::alignTo(last.at + last.weight.byteSize(), kTensorAlignment);
}

llvm::Expected<uint64_t> lutra::imageSize(ModuleOp module) {
  auto entries = readEntries(module);
  if (!entries)
    return entries.takeError();
  return sizeOf(*entries);
}

llvm::Expected<ImageSummary> lutra::writeImage(ModuleOp module, OpenSource open,
                                               llvm::raw_ostream &os) {
  auto entries = readEntries(module);
  if (!entries)
    return entries.takeError();
  uint64_t size = sizeOf(*entries);
  HashingStream stream(os);
  for (Entry &entry : *entries) {
    stream.write_zeros(entry.at - stream.summary.size);
    // It goes when it is written, and what only it needed.
    WeightExpression weight = std::move(entry.weight);
    if (llvm::Error failed = weight.write(open, stream))
      return std::move(failed);
  }
  stream.write_zeros(size - stream.summary.size);
  return stream.summary;
}

//===- WeightCodes.cpp - Low-bit codes of a weight ------------------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads codes from any place of a stream of bits, and packs them as
// `CodePlanes.h` says, a few thousand codes of a panel's rows at a time.
//
//===----------------------------------------------------------------------===//

#include "WeightCodes.h"

#include <algorithm>
#include <cstring>
#include <vector>

using namespace mlir;
using namespace mlir::lutra;

//===----------------------------------------------------------------------===//
// CodeStream
//===----------------------------------------------------------------------===//

CodeStream::CodeStream(UnpackAttr step)
    : bits(step.getBits()), flip(step.getFlip() ? 1 << (bits - 1) : 0) {
  int64_t total = 1;
  for (int64_t size : step.getShape())
    total *= size;
  codes = total / step.getRows();
  padding = -codes * bits & 7;
}

void CodeStream::copy(const char *bytes, int64_t first, int64_t stride,
                      int64_t count, char *out) const {
  const auto *stream = reinterpret_cast<const uint8_t *>(bytes);
  unsigned mask = (1 << bits) - 1;
  for (int64_t i = 0; i < count; ++i) {
    int64_t code = first + i * stride, bit = code * bits;
    if (padding != 0)
      bit += code / codes * padding;
    unsigned shift = bit & 7, value = stream[bit >> 3];
    if (shift + bits > 8)
      value |= stream[(bit >> 3) + 1] << 8;
    out[i] = (value >> shift & mask) ^ flip;
  }
}

//===----------------------------------------------------------------------===//
// PlanesWriter
//===----------------------------------------------------------------------===//

PlanesWriter::PlanesWriter(PlanesAttr step, RankedTensorType codes)
    : planes{step.getBits(), step.getRows(), step.getDepth(),
             step.getRowsShareBytes()},
      rows(codes.getDimSize(0)), columns(codes.getDimSize(1)) {}

/// Packs `chunks` chunks of the rows of a panel, which are kBlock codes apart.
/// All codes of a quad go the same way, each in its byte of `Quad`.
template <typename Quad>
static void pack(const CodePlanes &planes, const char *codes, int64_t chunks,
                 char *out) {
  constexpr int64_t kRow = PlanesWriter::kBlock;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const char *first = codes + chunk * planes.quadsPerChunk() * sizeof(Quad);
    for (CodePlane plane : planes.planes()) {
      uint32_t mask = 0x01010101u * ((1 << plane.width) - 1);
      // From one field to the next: to the next quad, or to another row.
      int64_t quadsAhead = planes.rowsShareBytes ? 0 : 1;
      for (int64_t quad = 0; quad < planes.quadsPerChunk();
           quad += std::max<int64_t>(1, quadsAhead * plane.codesPerByte()))
        for (int64_t byte = 0; byte < planes.vectorBytes();
             byte += sizeof(Quad), out += sizeof(Quad)) {
          uint32_t packed = 0;
          for (unsigned field = 0; field < plane.codesPerByte(); ++field) {
            const char *row = first + planes.rowOfField(byte, field) * kRow;
            Quad codesOfQuad;
            std::memcpy(&codesOfQuad,
                        row + (quad + field * quadsAhead) * sizeof(Quad),
                        sizeof(Quad));
            packed |= (codesOfQuad >> plane.shift & mask)
                      << field * plane.width;
          }
          Quad bytes = packed;
          std::memcpy(out, &bytes, sizeof(Quad));
        }
    }
  }
}

void PlanesWriter::write(Read read, llvm::raw_ostream &os) const {
  std::vector<char> panel(planes.rows * kBlock), packed;
  int64_t chunkCodes = planes.quadsPerChunk() * planes.depth,
          chunkBytes = planes.vectorsPerChunk() * planes.vectorBytes();
  for (int64_t row = 0; row < rows; row += planes.rows)
    for (int64_t column = 0; column < columns; column += kBlock) {
      int64_t count = std::min(kBlock, columns - column);
      std::fill(panel.begin(), panel.end(), 0);
      for (int64_t r = 0; r < std::min(planes.rows, rows - row); ++r)
        std::memcpy(panel.data() + r * kBlock,
                    read((row + r) * columns + column, count), count);
      int64_t chunks = llvm::divideCeil(count, chunkCodes);
      packed.resize(chunks * chunkBytes);
      if (planes.depth == 1)
        pack<uint8_t>(planes, panel.data(), chunks, packed.data());
      else
        pack<uint32_t>(planes, panel.data(), chunks, packed.data());
      os.write(packed.data(), packed.size());
    }
}

//===- EmbeddedWeights.cpp - Weights as a relocatable object --------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Streams an ELF file with one data section. Its layout is known beforehand, so
// the image flows straight through: header, image, symbols, names, sections.
//
//===----------------------------------------------------------------------===//

#include "lutra/Target/EmbeddedWeights.h"

#include "Model.h"
#include "lutra/Target/Object.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace mlir::lutra;
namespace ELF = llvm::ELF;

/// Where the image begins in the file, and its alignment in memory.
static constexpr uint64_t kAlignment = 64;

namespace {

/// The parts of the file behind the image, and their places.
struct Layout {
  enum Section { Null, Data, Symbols, Strings, Names, Stack, NumSections };

  Layout(uint64_t imageSize, std::string symbol, bool large)
      : imageSize(imageSize), large(large) {
    strings = '\0' + symbol + '\0';
    for (StringRef name : {"", large ? ".lrodata" : ".rodata", ".symtab",
                           ".strtab", ".shstrtab", ".note.GNU-stack"}) {
      nameOffsets.push_back(names.size());
      names += name.str() + '\0';
    }
    symbols = llvm::alignTo(kAlignment + imageSize, 8);
    stringsAt = symbols + 2 * sizeof(ELF::Elf64_Sym);
    namesAt = stringsAt + strings.size();
    sections = llvm::alignTo(namesAt + names.size(), 8);
  }

  uint64_t imageSize;
  bool large;
  std::string strings, names;
  SmallVector<uint32_t> nameOffsets;
  uint64_t symbols, stringsAt, namesAt, sections;
};

/// Hosts and targets are little-endian, so structs are written as they are.
template <typename T>
void writeStruct(llvm::raw_ostream &os, const T &value) {
  os.write(reinterpret_cast<const char *>(&value), sizeof(T));
}

} // namespace

static void writeHeader(const Layout &layout, uint16_t machine,
                        llvm::raw_ostream &os) {
  ELF::Elf64_Ehdr header = {};
  std::copy_n(ELF::ElfMagic, 4, header.e_ident);
  header.e_ident[ELF::EI_CLASS] = ELF::ELFCLASS64;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = machine;
  header.e_version = ELF::EV_CURRENT;
  header.e_shoff = layout.sections;
  header.e_ehsize = sizeof(ELF::Elf64_Ehdr);
  header.e_shentsize = sizeof(ELF::Elf64_Shdr);
  header.e_shnum = Layout::NumSections;
  header.e_shstrndx = Layout::Names;
  static_assert(sizeof(header) == kAlignment);
  writeStruct(os, header);
}

static void writeSymbols(const Layout &layout, llvm::raw_ostream &os) {
  writeStruct(os, ELF::Elf64_Sym());
  ELF::Elf64_Sym symbol = {};
  symbol.st_name = 1;
  symbol.setBindingAndType(ELF::STB_GLOBAL, ELF::STT_OBJECT);
  symbol.st_other = ELF::STV_HIDDEN;
  symbol.st_shndx = Layout::Data;
  symbol.st_size = layout.imageSize;
  writeStruct(os, symbol);
}

static void writeSections(const Layout &layout, llvm::raw_ostream &os) {
  auto section = [&](Layout::Section id, uint32_t type, uint64_t flags,
                     uint64_t offset, uint64_t size, uint64_t alignment) {
    ELF::Elf64_Shdr header = {};
    header.sh_name = layout.nameOffsets[id];
    header.sh_type = type;
    header.sh_flags = flags;
    header.sh_offset = offset;
    header.sh_size = size;
    header.sh_addralign = alignment;
    if (type == ELF::SHT_SYMTAB) {
      header.sh_link = Layout::Strings;
      header.sh_info = 1; // the first global symbol
      header.sh_entsize = sizeof(ELF::Elf64_Sym);
    }
    writeStruct(os, header);
  };
  uint64_t large = layout.large ? ELF::SHF_X86_64_LARGE : 0;
  section(Layout::Null, ELF::SHT_NULL, 0, 0, 0, 0);
  section(Layout::Data, ELF::SHT_PROGBITS, ELF::SHF_ALLOC | large, kAlignment,
          layout.imageSize, kAlignment);
  section(Layout::Symbols, ELF::SHT_SYMTAB, 0, layout.symbols,
          layout.stringsAt - layout.symbols, 8);
  section(Layout::Strings, ELF::SHT_STRTAB, 0, layout.stringsAt,
          layout.strings.size(), 1);
  section(Layout::Names, ELF::SHT_STRTAB, 0, layout.namesAt,
          layout.names.size(), 1);
  section(Layout::Stack, ELF::SHT_PROGBITS, 0, layout.sections, 0, 1);
}

llvm::Expected<ImageSummary> lutra::writeWeightsObject(ModuleOp module,
                                                       OpenSource open,
                                                       llvm::raw_ostream &os) {
  auto name = modelName(module);
  if (!name)
    return name.takeError();
  auto target = module->getAttrOfType<TargetAttr>(attr::kTarget);
  auto size = imageSize(module);
  if (!size)
    return size.takeError();
  bool x86 = !target || llvm::Triple(target.getTriple()).isX86_64();
  Layout layout(*size, weightsSymbol(*name), x86);
  writeHeader(layout, x86 ? ELF::EM_X86_64 : ELF::EM_AARCH64, os);
  auto summary = writeImage(module, open, os);
  if (!summary)
    return summary.takeError();
  os.write_zeros(layout.symbols - kAlignment - *size);
  writeSymbols(layout, os);
  os << layout.strings << layout.names;
  os.write_zeros(layout.sections - layout.namesAt - layout.names.size());
  writeSections(layout, os);
  return summary;
}

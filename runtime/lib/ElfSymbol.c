//===- ElfSymbol.c - Find an artifact's one exported symbol ---------------===//
//
// Part of the Lutra project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// dlsym needs a name and the artifact's name is not known, so the dynamic
// symbol table is read from the file. That also protects dlopen, which dies of
// SIGBUS where a segment reaches past the end of a truncated file.
//
//===----------------------------------------------------------------------===//

#include "Internal.h"

#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define HOST_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define HOST_MACHINE EM_AARCH64
#else
#error "add this machine's ELF machine number"
#endif

static const char prefix[] = "lutra_model_";

typedef struct {
  const char *path;
  lutraMapping file;
} Elf;

// True when [offset, offset + size) lies inside the file.
static bool inside(const Elf *elf, uint64_t offset, uint64_t size) {
  return offset <= elf->file.size && size <= elf->file.size - offset;
}

static lutra_status *damaged(const Elf *elf, const char *what) {
  return lutraError(LUTRA_INVALID_ARTIFACT,
                    "%s: damaged or truncated shared object: %s", elf->path,
                    what);
}

// Entries of a table are copied out: nothing in the file need be aligned.
static void readEntry(const Elf *elf, uint64_t table, uint64_t index,
                      void *entry, size_t size) {
  memcpy(entry, elf->file.data + table + index * size, size);
}

static lutra_status *readHeader(const Elf *elf, Elf64_Ehdr *header) {
  if (elf->file.size < sizeof(*header) ||
      memcmp(elf->file.data, ELFMAG, SELFMAG) != 0)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "%s: expected an ELF shared object made by "
                      "lutra-compile, got another kind of file",
                      elf->path);
  memcpy(header, elf->file.data, sizeof(*header));
  if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_machine != HOST_MACHINE)
    return lutraError(LUTRA_UNSUPPORTED,
                      "%s: expected ELF machine %d (64 bit, little endian), "
                      "got machine %d; compile the model for this machine",
                      elf->path, HOST_MACHINE, header->e_machine);
  if (header->e_type != ET_DYN)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "%s: expected a shared object, got ELF type %d; link it "
                      "with --emit=lib",
                      elf->path, header->e_type);
  return NULL;
}

static lutra_status *checkSegments(const Elf *elf, const Elf64_Ehdr *header) {
  if (header->e_phentsize != sizeof(Elf64_Phdr) ||
      !inside(elf, header->e_phoff,
              (uint64_t)header->e_phnum * sizeof(Elf64_Phdr)))
    return damaged(elf, "no program headers");
  for (uint64_t i = 0; i < header->e_phnum; ++i) {
    Elf64_Phdr segment;
    readEntry(elf, header->e_phoff, i, &segment, sizeof(segment));
    if (segment.p_type != PT_NULL &&
        !inside(elf, segment.p_offset, segment.p_filesz))
      return damaged(elf, "a segment reaches past the end of the file");
    if (segment.p_type == PT_LOAD && segment.p_filesz > segment.p_memsz)
      return damaged(elf, "a segment is larger in the file than in memory");
  }
  return NULL;
}

static lutra_status *findSection(const Elf *elf, const Elf64_Ehdr *header,
                                 uint32_t type, Elf64_Shdr *section) {
  for (uint64_t i = 0; i < header->e_shnum; ++i) {
    readEntry(elf, header->e_shoff, i, section, sizeof(*section));
    if (section->sh_type == type)
      return inside(elf, section->sh_offset, section->sh_size)
                 ? NULL
                 : damaged(elf, "a section reaches past the end of the file");
  }
  return damaged(elf, "no dynamic symbol table");
}

static lutra_status *findSymbol(const Elf *elf, const Elf64_Shdr *symbols,
                                const Elf64_Shdr *strings, const char **name,
                                uint64_t *size) {
  const char *text = (const char *)elf->file.data + strings->sh_offset;
  *name = NULL;
  for (uint64_t i = 0; i < symbols->sh_size / sizeof(Elf64_Sym); ++i) {
    Elf64_Sym symbol;
    readEntry(elf, symbols->sh_offset, i, &symbol, sizeof(symbol));
    if (symbol.st_shndx == SHN_UNDEF)
      continue;
    if (symbol.st_name >= strings->sh_size ||
        !memchr(text + symbol.st_name, '\0', strings->sh_size - symbol.st_name))
      return damaged(elf, "a symbol has no name");
    const char *candidate = text + symbol.st_name;
    if (strncmp(candidate, prefix, strlen(prefix)) != 0)
      continue;
    if (*name)
      return lutraError(LUTRA_INVALID_ARTIFACT,
                        "%s: expected one model, got '%s' and '%s'", elf->path,
                        *name, candidate);
    *name = candidate;
    *size = symbol.st_size;
  }
  if (!*name)
    return lutraError(LUTRA_INVALID_ARTIFACT,
                      "%s: expected a shared object made by lutra-compile: no "
                      "symbol starts with %s",
                      elf->path, prefix);
  return NULL;
}

lutra_status *lutraFindModelSymbol(const char *path, lutraMapping file,
                                   const char **name, uint64_t *size) {
  Elf elf = {path, file};
  Elf64_Ehdr header;
  Elf64_Shdr symbols, strings;
  lutra_status *status = readHeader(&elf, &header);
  if (!status)
    status = checkSegments(&elf, &header);
  if (status)
    return status;
  if (header.e_shentsize != sizeof(Elf64_Shdr) ||
      !inside(&elf, header.e_shoff,
              (uint64_t)header.e_shnum * sizeof(Elf64_Shdr)))
    return damaged(&elf, "no section headers");
  status = findSection(&elf, &header, SHT_DYNSYM, &symbols);
  if (status)
    return status;
  if (symbols.sh_link >= header.e_shnum)
    return damaged(&elf, "the symbol table has no names");
  readEntry(&elf, header.e_shoff, symbols.sh_link, &strings, sizeof(strings));
  if (!inside(&elf, strings.sh_offset, strings.sh_size))
    return damaged(&elf, "a section reaches past the end of the file");
  return findSymbol(&elf, &symbols, &strings, name, size);
}

# LLVM and MLIR 22 as the shared libMLIR and libLLVM, and helpers for libraries
# and TableGen. Never link the static archives beside the shared libraries.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
message(STATUS "MLIR ${LLVM_PACKAGE_VERSION} in ${MLIR_DIR}")
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(LutraMLIRFlags INTERFACE)
target_include_directories(LutraMLIRFlags SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_include_directories(LutraMLIRFlags INTERFACE
  "${Lutra_SOURCE_DIR}" "${Lutra_BINARY_DIR}"
  "${Lutra_SOURCE_DIR}/include" "${Lutra_BINARY_DIR}/include")
target_compile_definitions(LutraMLIRFlags INTERFACE ${LLVM_DEFINITIONS_LIST})
target_link_libraries(LutraMLIRFlags INTERFACE MLIR LLVM)

# A target that every generated header belongs to; all compiler code depends on it.
add_custom_target(lutra-headers)

# lutra_tablegen(<file.td> <prefix> <-gen-flag> <output.inc>...)
# Runs mlir-tblgen once per (flag, output) pair.
function(lutra_tablegen name td)
  set(LLVM_TARGET_DEFINITIONS ${td})
  list(TRANSFORM MLIR_INCLUDE_DIRS PREPEND "-I" OUTPUT_VARIABLE mlir_includes)
  set(args ${ARGN})
  while(args)
    list(POP_FRONT args output)
    list(POP_FRONT args flags)
    separate_arguments(flags)
    mlir_tablegen(${output} ${flags} ${mlir_includes} "-I${Lutra_SOURCE_DIR}" "-I${Lutra_SOURCE_DIR}/include")
  endwhile()
  add_public_tablegen_target(${name})
  add_dependencies(lutra-headers ${name})
endfunction()

# lutra_add_library(<name> [SOURCES a.cpp...] [LINK OtherLib...])
# A static library of the compiler, by default of every .cpp of its folder. No
# exceptions, as in LLVM.
function(lutra_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS *.cpp)
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC LutraMLIRFlags ${arg_LINK})
  add_dependencies(${name} lutra-headers)
  target_compile_options(${name} PRIVATE -fno-exceptions)
endfunction()

# lutra_add_tool(<name> SOURCES main.cpp LINK Libs...)
function(lutra_add_tool name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE LutraMLIRFlags ${arg_LINK})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  add_dependencies(${name} lutra-headers)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# lutra_add_model(<target> <model.onnx> [NAME <name>] [OPTIONS <option>...] [EMBED_WEIGHTS])
#
# Compiles a model at build time and links it into <target>, a target of the
# calling directory. Sources of <target> can then include "<name>.h", which
# declares `lutra_model_<name>`, and lutra/runtime.h. NAME is the file's name by
# default, made a C identifier. OPTIONS go to lutra-compile ("--mcpu=native"), after
# --mtriple where CMake compiles for another machine.
# The weight file is copied beside the target's binary, where the runtime looks
# for it, or goes into the object with EMBED_WEIGHTS.
function(lutra_add_model target model)
  cmake_parse_arguments(PARSE_ARGV 2 arg "EMBED_WEIGHTS" "NAME" "OPTIONS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "lutra_add_model: unexpected arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(model "${model}" ABSOLUTE BASE_DIR "${CMAKE_CURRENT_SOURCE_DIR}")
  if(NOT arg_NAME)
    get_filename_component(arg_NAME "${model}" NAME_WE)
    string(MAKE_C_IDENTIFIER "${arg_NAME}" arg_NAME)
  endif()

  if(TARGET lutra-compile)
    set(compiler "$<TARGET_FILE:lutra-compile>")
    set(compilerDependency lutra-compile)
  elseif(LUTRA_COMPILE)
    set(compiler "${LUTRA_COMPILE}")
    set(compilerDependency "${LUTRA_COMPILE}")
  else()
    message(FATAL_ERROR "lutra_add_model: no lutra-compile; give -DLUTRA_COMPILE=FILE")
  endif()

  set(dir "${CMAKE_CURRENT_BINARY_DIR}/lutra-models/${target}")
  set(object "${dir}/${arg_NAME}.o")
  set(header "${dir}/${arg_NAME}.h")
  set(weights "${dir}/${arg_NAME}.weights")
  set(outputs "${object}" "${header}")
  set(options ${arg_OPTIONS})
  if(CMAKE_CROSSCOMPILING AND NOT "${options}" MATCHES "--mtriple=")
    list(PREPEND options "--mtriple=${CMAKE_SYSTEM_PROCESSOR}-linux-gnu")
  endif()
  set(completeOutputs "")
  if(arg_EMBED_WEIGHTS)
    list(APPEND options --weights=embed)
  else()
    list(APPEND outputs "${weights}")
    # A model without weights leaves no file, but a build rule must.
    set(completeOutputs COMMAND "${CMAKE_COMMAND}" -E touch "${weights}")
  endif()
  file(MAKE_DIRECTORY "${dir}")
  add_custom_command(OUTPUT ${outputs}
    COMMAND "${compiler}" "${model}" -o "${object}" --emit=obj "--emit-header=${header}"
      "--name=${arg_NAME}" ${options}
    ${completeOutputs}
    DEPENDS "${model}" ${compilerDependency}
    COMMENT "Compiling model ${arg_NAME}" VERBATIM)

  target_sources(${target} PRIVATE ${outputs})
  set_source_files_properties("${object}" PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  target_include_directories(${target} PRIVATE "${dir}")
  target_link_libraries(${target} PRIVATE Lutra::runtime)
  if(NOT arg_EMBED_WEIGHTS)
    add_custom_command(TARGET ${target} POST_BUILD
      COMMAND "${CMAKE_COMMAND}" -E copy_if_different "${weights}" "$<TARGET_FILE_DIR:${target}>"
      VERBATIM)
  endif()
endfunction()

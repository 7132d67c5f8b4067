# The ONNX C++ library, built once from the source package of a pinned PyPI
# release into LUTRA_DEPS_DIR, outside the preset's own folder so that presets
# share it. -DLUTRA_ONNX_SOURCE=DIR takes an unpacked source tree instead of PyPI.
set(LUTRA_ONNX_VERSION 1.23.2)
set(LUTRA_ONNX_SHA256 008cb0467b2bbee41448acc7da8b6f4e704624cb0d327a2d5adafc7ce19bc5b8)
set(LUTRA_ONNX_SOURCE "" CACHE PATH "Unpacked ONNX ${LUTRA_ONNX_VERSION} source tree, for offline builds")
set(LUTRA_DEPS_DIR "${CMAKE_SOURCE_DIR}/build/deps" CACHE PATH "Where dependencies are built and kept")
set(LUTRA_ONNX_PREFIX "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}")

function(lutra_fetch_onnx out)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  set(archive "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}.tar.gz")
  if(NOT EXISTS "${archive}")
    message(STATUS "Fetching the source package of onnx ${LUTRA_ONNX_VERSION} from PyPI")
    execute_process(COMMAND "${Python3_EXECUTABLE}" -m pip download -q --no-binary onnx --no-deps
      --no-build-isolation -d "${LUTRA_DEPS_DIR}" "onnx==${LUTRA_ONNX_VERSION}"
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "cannot fetch onnx ${LUTRA_ONNX_VERSION}; give -DLUTRA_ONNX_SOURCE=DIR")
    endif()
  endif()
  file(SHA256 "${archive}" hash)
  if(NOT hash STREQUAL LUTRA_ONNX_SHA256)
    message(FATAL_ERROR "${archive}: expected SHA-256 ${LUTRA_ONNX_SHA256}, got ${hash}")
  endif()
  file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${LUTRA_DEPS_DIR}")
  set(${out} "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}-src" PARENT_SCOPE)
  file(REMOVE_RECURSE "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}-src")
  file(RENAME "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}" "${LUTRA_DEPS_DIR}/onnx-${LUTRA_ONNX_VERSION}-src")
endfunction()

if(NOT EXISTS "${LUTRA_ONNX_PREFIX}/lib/libonnx.a")
  set(source "${LUTRA_ONNX_SOURCE}")
  if(NOT source)
    lutra_fetch_onnx(source)
  endif()
  message(STATUS "Building onnx ${LUTRA_ONNX_VERSION} (once, about two minutes)")
  set(build "${LUTRA_DEPS_DIR}/onnx-build")
  execute_process(COMMAND "${CMAKE_COMMAND}" -G Ninja -S "${source}" -B "${build}"
    -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}"
    -DONNX_USE_PROTOBUF_SHARED_LIBS=ON -DBUILD_SHARED_LIBS=OFF -DONNX_ML=ON
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DCMAKE_CXX_VISIBILITY_PRESET=hidden
    "-DCMAKE_INSTALL_PREFIX=${LUTRA_ONNX_PREFIX}" -DCMAKE_INSTALL_LIBDIR=lib
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" --target install
    COMMAND_ERROR_IS_FATAL ANY)
endif()
find_package(Protobuf REQUIRED)
find_package(ONNX REQUIRED CONFIG PATHS "${LUTRA_ONNX_PREFIX}" NO_DEFAULT_PATH)

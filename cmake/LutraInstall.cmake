# The CMake package: find_package(Lutra) gives Lutra::runtime, Lutra::shared and
# lutra_add_model. Headers, libraries and tools are installed where they are made.
include(CMakePackageConfigHelpers)
set(LUTRA_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/Lutra")

install(EXPORT LutraTargets NAMESPACE Lutra:: DESTINATION "${LUTRA_PACKAGE_DIR}")
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/LutraConfig.cmake.in" "${CMAKE_BINARY_DIR}/LutraConfig.cmake"
  INSTALL_DESTINATION "${LUTRA_PACKAGE_DIR}" PATH_VARS CMAKE_INSTALL_BINDIR)
# Below 1.0 a minor release may change the API.
write_basic_package_version_file("${CMAKE_BINARY_DIR}/LutraConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${CMAKE_BINARY_DIR}/LutraConfig.cmake"
  "${CMAKE_BINARY_DIR}/LutraConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/LutraAddModel.cmake"
  DESTINATION "${LUTRA_PACKAGE_DIR}")

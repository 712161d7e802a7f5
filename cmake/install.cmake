# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where, `ninja uninstall`, and the Debian package that cpack makes.
include(CMakePackageConfigHelpers)
set(_data ${CMAKE_INSTALL_DATADIR}/gla)
set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/gla)

# ---- programs find the library beside them, wherever the tree is moved; in /usr the loader does ----
file(RELATIVE_PATH _to_lib /p/${CMAKE_INSTALL_BINDIR} /p/${CMAKE_INSTALL_LIBDIR})
if(NOT CMAKE_INSTALL_PREFIX STREQUAL /usr)
  set_target_properties(${GLA_PROGRAMS} PROPERTIES INSTALL_RPATH "$ORIGIN/${_to_lib}")
endif()

# ---- library and programs ----
install(TARGETS gla_shared gla_plugin_abi EXPORT gla-targets)
install(TARGETS gla EXPORT gla-static-targets)
install(TARGETS ${GLA_PROGRAMS})
install(DIRECTORY core/include/gla DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# ---- for CMake and pkg-config ----
install(EXPORT gla-targets NAMESPACE gla:: DESTINATION ${_package})
install(EXPORT gla-static-targets NAMESPACE gla:: DESTINATION ${_package})
configure_package_config_file(cmake/gla-config.cmake.in generated/gla-config.cmake
                              INSTALL_DESTINATION ${_package} PATH_VARS GLA_PLUGIN_SUBDIR)
write_basic_package_version_file(generated/gla-config-version.cmake COMPATIBILITY ${GLA_COMPATIBLE})
install(FILES ${PROJECT_BINARY_DIR}/generated/gla-config.cmake
        ${PROJECT_BINARY_DIR}/generated/gla-config-version.cmake DESTINATION ${_package})
install(FILES cmake/dependencies.cmake DESTINATION ${_package} RENAME gla-dependencies.cmake)
file(RELATIVE_PATH GLA_PC_PREFIX /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
string(REGEX REPLACE "/$" "" GLA_PC_PREFIX ${GLA_PC_PREFIX})
configure_file(cmake/gla.pc.in generated/gla.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/gla.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(DIRECTORY DESTINATION ${GLA_PLUGIN_SUBDIR})

# ---- pages, completions ----
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES docs/gla-arch.5 DESTINATION ${CMAKE_INSTALL_MANDIR}/man5)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/bash/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/zsh/ DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/fish/
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# ---- what a user starts from ----
install(DIRECTORY configs models DESTINATION ${_data})
install(DIRECTORY plugins/template plugins/taylor DESTINATION ${_data}/plugins)
install(FILES docs/arch.schema.json DESTINATION ${_data})
install(FILES README.md CHANGELOG.md CONTRIBUTING.md PERFORMANCE.md SECURITY.md LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} PATTERN "*.5" EXCLUDE PATTERN "*.sh" EXCLUDE)

add_custom_target(uninstall COMMAND ${CMAKE_COMMAND}
  -D MANIFEST=${PROJECT_BINARY_DIR}/install_manifest.txt -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake)

# ---- cpack: configure with -DCMAKE_INSTALL_PREFIX=/usr (cmake/try-deb.sh) ----
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME gla)
set(CPACK_PACKAGE_VENDOR "the gla authors")
set(CPACK_PACKAGE_CONTACT "the gla authors <gla@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "language models that mix gated linear attention with softmax")
set(CPACK_PACKAGE_DESCRIPTION "Library and programs: architectures in YAML, conversion of published
checkpoints, running, evaluating, comparing and measuring on CPUs.")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)

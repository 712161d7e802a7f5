# SPDX-License-Identifier: Apache-2.0
# libgla from the rooms, and the header-only target plugins build against.
get_property(_rooms GLOBAL PROPERTY GLA_ROOMS)
set(_objects)
foreach(r ${_rooms})
  list(APPEND _objects $<TARGET_OBJECTS:${r}>)
endforeach()

add_library(gla ${_objects}) # BUILD_SHARED_LIBS decides
add_library(gla::gla ALIAS gla)
set_target_properties(gla PROPERTIES LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
target_include_directories(gla PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(gla PRIVATE DNNL::dnnl PkgConfig::YAML PkgConfig::ZSTD PkgConfig::XXHASH
                      PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::UTF8PROC Threads::Threads
                      OpenMP::OpenMP_C m ${CMAKE_DL_LIBS} $<BUILD_INTERFACE:gla_flags>)

add_library(gla_plugin_abi INTERFACE)
add_library(gla::plugin_abi ALIAS gla_plugin_abi)
set_target_properties(gla_plugin_abi PROPERTIES EXPORT_NAME plugin_abi)
target_include_directories(gla_plugin_abi INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/core/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

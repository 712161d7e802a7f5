# SPDX-License-Identifier: Apache-2.0
# libgla from the rooms, static and shared, and the header-only target plugins build against.
# The tests link the static one, which has the names between rooms (gla__*); everybody else, our
# programs too, the shared one, which exports what the public headers declare and nothing else.
get_property(_rooms GLOBAL PROPERTY GLA_ROOMS)
set(_objects)
foreach(r ${_rooms})
  list(APPEND _objects $<TARGET_OBJECTS:${r}>)
endforeach()

add_library(gla STATIC ${_objects})
add_library(gla_shared SHARED ${_objects})
add_library(gla::static ALIAS gla)
add_library(gla::gla ALIAS gla_shared)
set_target_properties(gla PROPERTIES EXPORT_NAME static)
if(PROJECT_VERSION_MAJOR GREATER 0) # what a program may rely on: gla/gla.h, "Growth"
  set(_soversion ${PROJECT_VERSION_MAJOR})
  set(GLA_COMPATIBLE SameMajorVersion)
else()
  set(_soversion 0.${PROJECT_VERSION_MINOR})
  set(GLA_COMPATIBLE SameMinorVersion)
endif()
set_target_properties(gla_shared PROPERTIES OUTPUT_NAME gla EXPORT_NAME gla VERSION ${PROJECT_VERSION}
                      SOVERSION ${_soversion})
target_link_options(gla_shared PRIVATE LINKER:-z,nodelete) # its threads live as long as the process
foreach(t gla gla_shared)
  set_target_properties(${t} PROPERTIES LINKER_LANGUAGE C)
  target_include_directories(${t} PUBLIC $<BUILD_INTERFACE:${GLA_INCLUDE_DIR}>
                             $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${t} PRIVATE DNNL::dnnl PkgConfig::YAML PkgConfig::ZSTD PkgConfig::XXHASH
                        PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::UTF8PROC Threads::Threads
                        OpenMP::OpenMP_C m ${CMAKE_DL_LIBS} $<BUILD_INTERFACE:gla_flags>)
endforeach()

add_library(gla_plugin_abi INTERFACE)
add_library(gla::plugin_abi ALIAS gla_plugin_abi)
set_target_properties(gla_plugin_abi PROPERTIES EXPORT_NAME plugin_abi)
target_include_directories(gla_plugin_abi INTERFACE
  $<BUILD_INTERFACE:${GLA_INCLUDE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

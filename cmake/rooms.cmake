# SPDX-License-Identifier: Apache-2.0
# One OBJECT library per room of docs/DESIGN.md.  A room sees its own headers and those below it;
# tests/abi/includes checks the #include lines.
#
# Sources are found by name, so that adding a mixer or an importer is adding one file.
function(gla_room name)
  cmake_parse_arguments(A "" "" "GLOB;INCLUDE;LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${A_GLOB})
  if(NOT sources)
    return()
  endif()
  add_library(gla_${name} OBJECT ${sources})
  target_include_directories(gla_${name} PRIVATE ${GLA_INCLUDE_DIR} ${A_INCLUDE})
  target_link_libraries(gla_${name} PRIVATE gla_flags ${A_LIBS})
  foreach(s ${sources})
    if(s MATCHES "_avx2\\.c$")
      set_source_files_properties(${s} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-mf16c")
    elseif(s MATCHES "_avx512\\.c$")
      set_source_files_properties(${s} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mfma;-mf16c;-mavx2;-mprefer-vector-width=512")
    elseif(s MATCHES "_avx512vnni\\.c$")
      set_source_files_properties(${s} PROPERTIES COMPILE_OPTIONS
        "-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx512vnni;-mfma;-mf16c;-mavx2;-mprefer-vector-width=512")
    elseif(s MATCHES "_c\\.c$")
      set_source_files_properties(${s} PROPERTIES COMPILE_OPTIONS "-ffp-contract=off")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY GLA_ROOMS gla_${name})
endfunction()

# Writes "XX(name)" for each file (from_name.c: importers) of a folder.
function(gla_list_files folder out)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${folder}/*.c)
  set(text "/* made by cmake from ${folder} */\n")
  foreach(s ${sources})
    get_filename_component(n ${s} NAME_WE)
    string(REGEX REPLACE "^from_" "" n ${n})
    string(APPEND text "XX(${n})\n")
  endforeach()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/generated/${out} CONTENT "${text}" @ONLY)
endfunction()
gla_list_files(layers builtin_layers.inc)
gla_list_files(formats/import/families importers.inc)

set(_core ${PROJECT_SOURCE_DIR}/core)
set(_all ${_core} ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/generated)
gla_room(base GLOB core/base/*.c INCLUDE ${_core} LIBS Threads::Threads OpenMP::OpenMP_C PkgConfig::ZSTD)
gla_room(text GLOB formats/text/*.c INCLUDE ${_all}
         LIBS PkgConfig::YAML PkgConfig::XXHASH PkgConfig::JANSSON PkgConfig::UTF8PROC)
gla_room(math GLOB core/math/*.c core/math/kernels/*.c INCLUDE ${_core} LIBS DNNL::dnnl)
gla_room(arch GLOB formats/arch/*.c INCLUDE ${_all} LIBS PkgConfig::JANSSON)
gla_room(weights GLOB formats/weights/*.c INCLUDE ${_all} LIBS PkgConfig::XXHASH PkgConfig::JANSSON)
gla_room(tokenizer GLOB formats/tokenizer/*.c INCLUDE ${_all}
         LIBS PkgConfig::XXHASH PkgConfig::JANSSON PkgConfig::PCRE2 PkgConfig::UTF8PROC)
gla_room(chat GLOB formats/chat/*.c INCLUDE ${_all} LIBS PkgConfig::JANSSON PkgConfig::UTF8PROC)
gla_room(import GLOB formats/import/*.c formats/import/families/*.c INCLUDE ${_all} LIBS PkgConfig::JANSSON)
gla_room(graph GLOB core/graph/*.c INCLUDE ${_core})
gla_room(state GLOB core/state/*.c INCLUDE ${_core} LIBS PkgConfig::XXHASH)
gla_room(runtime GLOB core/runtime/*.c INCLUDE ${_all} LIBS PkgConfig::XXHASH PkgConfig::ZSTD)
target_compile_definitions(gla_runtime PRIVATE
  GLA_PLUGIN_DIR="${CMAKE_INSTALL_FULL_LIBDIR}/gla/plugins")
gla_room(convert GLOB core/convert/*.c INCLUDE ${_all} LIBS PkgConfig::JANSSON)
gla_room(layers GLOB layers/*.c)
if(TARGET gla_layers)
  target_compile_definitions(gla_layers PRIVATE GLA_PLUGIN_STATIC)
endif()

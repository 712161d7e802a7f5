# SPDX-License-Identifier: Apache-2.0
# ---- plugins: loadable files that are wrong in one place each (tests/unit/test_plugin.c) ----
file(GLOB _plugins CONFIGURE_DEPENDS plugins/plugin_*.c)
foreach(p ${_plugins})
  get_filename_component(name ${p} NAME_WE)
  add_library(${name} MODULE ${p})
  target_link_libraries(${name} PRIVATE gla::plugin_abi)
  set_target_properties(${name} PROPERTIES PREFIX ""
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/plugins)
  # others may not write to a plugin, whatever the umask of the build is
  add_custom_command(TARGET ${name} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:${name}>)
  add_dependencies(test_unit ${name})
endforeach()

# Plugins that load and then break their contract (tests/cli/check_plugin.sh).
file(GLOB _breaches CONFIGURE_DEPENDS plugins/breach/breach_*.c)
foreach(p ${_breaches})
  get_filename_component(name ${p} NAME_WE)
  add_library(${name} MODULE ${p})
  target_link_libraries(${name} PRIVATE gla::plugin_abi)
  set_target_properties(${name} PROPERTIES PREFIX ""
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/breaches)
  add_custom_command(TARGET ${name} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:${name}>)
endforeach()

# ---- abi: the rules that a compiler does not check ----
find_program(CXX_PROGRAM NAMES c++ g++ clang++ REQUIRED)
add_library(abi_layout OBJECT abi/check_layout.c) # static assertions only
target_link_libraries(abi_layout PRIVATE gla::plugin_abi gla_flags)
add_executable(abi_run_plugin abi/run_plugin.c)
target_link_libraries(abi_run_plugin PRIVATE gla gla_flags m)
add_executable(abi_grow abi/grow.c) # against the shared library, as a program of another version is
target_link_libraries(abi_grow PRIVATE gla_shared gla_flags)
target_compile_definitions(abi_grow PRIVATE _DEFAULT_SOURCE) # MAP_ANONYMOUS
add_test(NAME abi_grow COMMAND abi_grow ${PROJECT_SOURCE_DIR})
add_test(NAME abi_includes
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/includes.sh ${PROJECT_SOURCE_DIR})
add_test(NAME abi_symbols COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/symbols.sh $<TARGET_FILE:gla>)
add_test(NAME abi_header_alone
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/header_alone.sh ${PROJECT_SOURCE_DIR}/core/include
                 ${CMAKE_C_COMPILER} ${CXX_PROGRAM})
add_test(NAME abi_template
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/template.sh ${PROJECT_SOURCE_DIR}
                 ${CMAKE_C_COMPILER} ${CMAKE_COMMAND} $<TARGET_FILE:abi_run_plugin>)
add_test(NAME abi_words COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/words.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(abi_grow abi_includes abi_words abi_symbols abi_header_alone abi_template PROPERTIES LABELS abi
                     TIMEOUT 120)
# sanitizers bring functions of their own, and a plugin built without them
set_tests_properties(abi_symbols abi_template PROPERTIES LABELS "abi;nosan")

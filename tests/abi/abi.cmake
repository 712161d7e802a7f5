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
target_include_directories(abi_layout PRIVATE ${PROJECT_SOURCE_DIR}/core)
target_link_libraries(abi_layout PRIVATE gla::plugin_abi gla_flags)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME abi_freeze
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/freeze.sh ${PROJECT_SOURCE_DIR} ${Python3_EXECUTABLE}
                 ${CMAKE_C_COMPILER})
add_executable(abi_run_plugin abi/run_plugin.c)
target_link_libraries(abi_run_plugin PRIVATE gla gla_flags m)

# Plugins of the versions there have been: those of 1.0 see the frozen header and nothing else of ours.
foreach(name ema_v1_0 all_v1_0 tiny_v1_1)
  add_library(abi_${name} MODULE abi/${name}.c)
  target_link_libraries(abi_${name} PRIVATE gla_flags m)
  set_target_properties(abi_${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
                        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/abi)
  add_custom_command(TARGET abi_${name} POST_BUILD COMMAND chmod go-w $<TARGET_FILE:abi_${name}>)
endforeach()
target_link_libraries(abi_tiny_v1_1 PRIVATE gla::plugin_abi)
add_executable(abi_entry_check_v1_0 abi/entry_check_v1_0.c)
target_link_libraries(abi_entry_check_v1_0 PRIVATE gla_flags m ${CMAKE_DL_LIBS})

set(_ema "{type: org.example.ema, expand: 2}")
set(_all "{type: org.example.all, heads: 4, normaliser: max, factors: [0.5, 2]}")
foreach(validate 0 1)
  foreach(name ema all)
    add_test(NAME abi_${name}_v1_0_validate_${validate}
             COMMAND abi_run_plugin $<TARGET_FILE:abi_${name}_v1_0> ${_${name}}
                     ${CMAKE_CURRENT_SOURCE_DIR}/abi/${name}_v1_0.logits)
    set_tests_properties(abi_${name}_v1_0_validate_${validate} PROPERTIES LABELS abi TIMEOUT 120
                         ENVIRONMENT "GLA_VALIDATE=${validate}")
  endforeach()
endforeach()
add_test(NAME abi_tiny_v1_1 COMMAND abi_run_plugin $<TARGET_FILE:abi_tiny_v1_1> "{type: org.example.tiny}")
add_test(NAME abi_host_v1_0_takes_1_0 COMMAND abi_entry_check_v1_0 $<TARGET_FILE:abi_ema_v1_0>)
add_test(NAME abi_host_v1_0_refuses_1_1
         COMMAND abi_entry_check_v1_0 $<TARGET_FILE:abi_tiny_v1_1>
                 "tiny: org.example.tiny/1: function create is missing")
add_test(NAME abi_grown
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/grown.sh ${PROJECT_SOURCE_DIR} ${CMAKE_C_COMPILER}
                 ${CMAKE_COMMAND} ${CMAKE_GENERATOR} "${GLA_SANITIZE}" ${PROJECT_BINARY_DIR}/tests/abi
                 $<TARGET_FILE:abi_run_plugin>)
set_tests_properties(abi_freeze abi_tiny_v1_1 abi_host_v1_0_takes_1_0 abi_host_v1_0_refuses_1_1 abi_grown
                     PROPERTIES LABELS abi TIMEOUT 300)
add_executable(abi_grow abi/grow.c) # against the shared library, as a program of another version is
target_link_libraries(abi_grow PRIVATE gla_shared gla_flags)
target_compile_definitions(abi_grow PRIVATE _DEFAULT_SOURCE) # MAP_ANONYMOUS
add_test(NAME abi_grow COMMAND abi_grow ${PROJECT_SOURCE_DIR})
add_test(NAME abi_includes
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/includes.sh ${PROJECT_SOURCE_DIR})
add_test(NAME abi_linker
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/linker.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
add_test(NAME abi_symbols COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/symbols.sh $<TARGET_FILE:gla>)
add_test(NAME abi_header_alone
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/header_alone.sh ${PROJECT_SOURCE_DIR}/core/include
                 ${CMAKE_C_COMPILER} ${CXX_PROGRAM})
add_test(NAME abi_template
         COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/template.sh ${PROJECT_SOURCE_DIR}
                 ${CMAKE_C_COMPILER} ${CMAKE_COMMAND} $<TARGET_FILE:abi_run_plugin>)
add_test(NAME abi_words COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/words.sh ${PROJECT_SOURCE_DIR})
add_test(NAME abi_heads COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/abi/heads.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(abi_grow abi_heads abi_includes abi_linker abi_words abi_symbols abi_header_alone abi_template PROPERTIES LABELS abi
                     TIMEOUT 120)
# sanitizers bring functions of their own, and a plugin built without them
set_tests_properties(abi_symbols abi_template PROPERTIES LABELS "abi;nosan")

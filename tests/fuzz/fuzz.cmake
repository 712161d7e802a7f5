# SPDX-License-Identifier: Apache-2.0
# Fuzz targets.  With GLA_FUZZ (clang) libFuzzer programs: tests/fuzz/run.sh.  Else with a driver of
# our own: ctest runs all seeds and GLA_FUZZ_MUTATIONS mutations of them.
set(GLA_FUZZ_MUTATIONS 20000 CACHE STRING "Mutated inputs per fuzz target in ctest")
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd>=1.5.0)
set(_fuzz ${PROJECT_SOURCE_DIR}/tests/fuzz)
set(_dict_arch arch)
set(_dict_template template)
set(_dict_gguf gguf)
foreach(t json config safetensors glaw tokenizer)
  set(_dict_${t} json)
endforeach()
# what the tests have anyway is where mutations begin, besides each target's own seeds
file(GLOB _seeds_arch ${PROJECT_SOURCE_DIR}/configs/*.yaml)
file(GLOB _seeds_config ${PROJECT_SOURCE_DIR}/tests/reference/*/config.json)
file(GLOB _seeds_template ${PROJECT_SOURCE_DIR}/tests/data/chat/*.jinja)

file(GLOB _targets CONFIGURE_DEPENDS ${_fuzz}/fuzz_*.c)
foreach(t ${_targets})
  get_filename_component(name ${t} NAME_WE)
  string(REPLACE "fuzz_" "" short ${name})
  add_executable(${name} ${t} ${_fuzz}/memory_file.c)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/core ${PROJECT_SOURCE_DIR}
                             ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE gla gla_flags PkgConfig::JANSSON PkgConfig::ZSTD
                        PkgConfig::XXHASH m)
  set(_args)
  if(_dict_${short})
    list(APPEND _args --dict=${_fuzz}/dict/${_dict_${short}}.dict)
  endif()
  if(IS_DIRECTORY ${_fuzz}/seeds/${short}) # what fuzzing found
    list(APPEND _args ${_fuzz}/seeds/${short})
  endif()
  if(GLA_FUZZ)
    target_sources(${name} PRIVATE ${_fuzz}/libfuzzer.c)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${_fuzz}/driver.c)
    set(_n ${GLA_FUZZ_MUTATIONS})
    if(short STREQUAL model) # two models and three texts each
      math(EXPR _n "${_n} / 20")
    endif()
    add_test(NAME ${name} COMMAND ${name} --mutations=${_n} ${_args} ${_seeds_${short}}
             WORKING_DIRECTORY ${PROJECT_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 300
                         ENVIRONMENT "GLA_NUM_THREADS=1")
  endif()
endforeach()

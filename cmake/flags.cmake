# SPDX-License-Identifier: Apache-2.0
# gla_flags: the compile options that all our own code shares.
add_library(gla_flags INTERFACE)
target_compile_definitions(gla_flags INTERFACE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64)
target_compile_options(gla_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
  -Wmissing-prototypes -Wvla -Wcast-qual -Wpointer-arith -Wundef -Wformat=2 -Wnull-dereference
  -fno-math-errno -fno-omit-frame-pointer)
if(GLA_WERROR)
  target_compile_options(gla_flags INTERFACE -Werror)
endif()
if(GLA_SANITIZE)
  target_compile_options(gla_flags INTERFACE -fsanitize=${GLA_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(gla_flags INTERFACE -fsanitize=${GLA_SANITIZE})
  if(GLA_FUZZ)
    target_compile_options(gla_flags INTERFACE -fsanitize=fuzzer-no-link)
  endif()
elseif(NOT CMAKE_BUILD_TYPE STREQUAL Debug)
  target_compile_options(gla_flags INTERFACE
    -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection)
  target_link_options(gla_flags INTERFACE -Wl,-z,relro,-z,now)
endif()
if(NOT GLA_SANITIZE)
  target_link_options(gla_flags INTERFACE -Wl,-z,defs)
endif()

# Flags and the two functions every room uses.

add_library(xdn_flags INTERFACE)
target_compile_options(xdn_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion)
if(XDN_WERROR)
  target_compile_options(xdn_flags INTERFACE -Werror)
endif()
if(XDN_SANITIZE)
  add_compile_options(-fsanitize=${XDN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${XDN_SANITIZE})
endif()

# xdn_precompile(TARGET <header> ...): for headers that cost more to read than the code behind them: gtest, CLI11 and
# nlohmann-json take 5 to 20 s of each file's compilation.
function(xdn_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE -fpch-preprocess)  # ccache looks through precompiled headers only so
  endif()
endfunction()

# xdn_find_torch(): sets XDN_TORCH where libtorch is installed and has this compiler's ABI. Whoever links it passes
# -Wl,--exclude-libs,ALL: it brings libonnx, whose classes have the names of those in our importer.
macro(xdn_find_torch)
  set(XDN_LOG_LEVEL_BEFORE ${CMAKE_MESSAGE_LOG_LEVEL})
  set(CMAKE_MESSAGE_LOG_LEVEL WARNING)  # QUIET does not reach what Torch's own files print
  find_package(Torch QUIET)
  set(CMAKE_MESSAGE_LOG_LEVEL ${XDN_LOG_LEVEL_BEFORE})
  set(XDN_TORCH OFF)
  if(Torch_FOUND AND NOT TORCH_CXX_FLAGS MATCHES "CXX11_ABI=0")
    set(XDN_TORCH ON)
  else()
    message(STATUS "libtorch is not installed: no xdn-train, no torch_worker")
  endif()
endmacro()

# The headers to precompile where libtorch is used, which costs 15 s a file otherwise. Clang 14 wants IValue to be complete
# before others of libtorch's headers hold vectors of it.
set(XDN_TORCH_HEADERS <ATen/core/ivalue.h> <torch/torch.h>)

# xdn_library(ROOM SOURCES a.cc ... DEPS xdn_base ... PRIVATE fmt::fmt ...)
# A room: static library xdn_ROOM, includes written from src/.
function(xdn_library room)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE" ${ARGN})
  add_library(xdn_${room} STATIC ${ARG_SOURCES})
  target_include_directories(xdn_${room} PUBLIC ${PROJECT_SOURCE_DIR}/src)
  target_link_libraries(xdn_${room} PUBLIC ${ARG_DEPS} PRIVATE xdn_flags ${ARG_PRIVATE})
endfunction()

# What every test includes, precompiled once for all of them. Clang wants equal definitions, and gets one for each.
function(xdn_test_headers)
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/test_headers.cc CONTENT "")
  add_library(xdn_test_headers OBJECT ${PROJECT_BINARY_DIR}/test_headers.cc)
  target_link_libraries(xdn_test_headers PRIVATE xdn_flags GTest::gtest_main)
  target_compile_options(xdn_test_headers PRIVATE -O1)
  xdn_precompile(xdn_test_headers <gtest/gtest.h> <string> <vector>)
endfunction()

# xdn_test(NAME SOURCES a_test.cc ... DEPS xdn_graph ... [TIMEOUT seconds] [PRECOMPILE <header> ...])
# A GoogleTest program; every TEST is a ctest test. Tests find the shared data through the environment that
# scripts/test sets (XDN_CIFAR10, XDN_MODELS), and skip by saying so where it is absent. PRECOMPILE: headers that this
# one needs beside gtest's.
function(xdn_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;PRECOMPILE" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE xdn_flags ${ARG_DEPS} GTest::gtest_main)
  # The code under test keeps its own level. At -O3 GCC 12 warns wrongly about string concatenation in tests.
  target_compile_options(${name} PRIVATE -O1)
  if(ARG_PRECOMPILE OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    xdn_precompile(${name} <gtest/gtest.h> <string> <vector> ${ARG_PRECOMPILE})
  else()
    target_precompile_headers(${name} REUSE_FROM xdn_test_headers)
    target_compile_options(${name} PRIVATE -fpch-preprocess)
  endif()
  gtest_discover_tests(${name} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120 PROPERTIES TIMEOUT ${ARG_TIMEOUT})
endfunction()

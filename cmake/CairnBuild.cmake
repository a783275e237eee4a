include(CheckCCompilerFlag)

# One list for gcc and clang: each flag is probed, so neither sees the other's.
set(CAIRN_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wundef -Wvla
    -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wmissing-declarations
    -Wpointer-arith -Wcast-align -Wcast-qual -Wwrite-strings -Wformat=2 -Wformat-signedness
    -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wdouble-promotion
    -Wredundant-decls -Wnested-externs -Wunused -Wdate-time
    -Wlogical-op -Wduplicated-cond -Wstringop-overflow=4 -Walloc-zero -Wtrampolines -Wjump-misses-init
    -Wcomma -Wconditional-uninitialized -Wmissing-variable-declarations -Wshift-sign-overflow
    -Wshorten-64-to-32 -Wunreachable-code)

function(cairn_configure_options target)
  foreach(flag IN LISTS CAIRN_WARNINGS)
    string(MAKE_C_IDENTIFIER "CAIRN_HAS${flag}" var)
    set(CMAKE_REQUIRED_FLAGS -Werror)
    check_c_compiler_flag(${flag} ${var})
    if(${var})
      target_compile_options(${target} INTERFACE ${flag})
    endif()
  endforeach()
  # gcc warns of an ignored CAIRN_MUST_CHECK even where it is cast to void on purpose; clang, which does not, checks it.
  if(CMAKE_C_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} INTERFACE -Wno-unused-result)
  endif()
  if(CAIRN_WERROR)
    target_compile_options(${target} INTERFACE -Werror)
  endif()
  # _GNU_SOURCE: fallocate, memfd and futex are Linux, and glibc hides them otherwise.
  target_compile_definitions(${target} INTERFACE _GNU_SOURCE CAIRN_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${CAIRN_FAULTS}>:CAIRN_FAULTS>)
  target_compile_options(${target} INTERFACE -fno-common -fstack-protector-strong
    -fno-omit-frame-pointer $<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=2>)
  target_link_options(${target} INTERFACE -Wl,-z,relro -Wl,-z,now)
  if(CAIRN_SANITIZE)
    list(JOIN CAIRN_SANITIZE "," list)
    target_compile_options(${target} INTERFACE -fsanitize=${list} -fno-sanitize-recover=all)
    target_link_options(${target} INTERFACE -fsanitize=${list})
  endif()
  if(CAIRN_COVERAGE)
    target_compile_options(${target} INTERFACE --coverage -O0)
    target_link_options(${target} INTERFACE --coverage)
  endif()
endfunction()

# cairn_library(<name> SOURCES <files...> LINK <libraries...>)
# Includes are paths from the repository root, so each one shows which border it crosses.
function(cairn_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINK} PRIVATE cairn_options)
  if(CAIRN_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# Each header must compile on its own, twice.
function(cairn_header_check name)
  set(sources)
  foreach(header IN LISTS ARGN)
    string(MAKE_C_IDENTIFIER ${header} id)
    set(file ${CMAKE_BINARY_DIR}/header_check/${id}.c)
    file(CONFIGURE OUTPUT ${file} CONTENT
      "#include \"${header}\"\n#include \"${header}\"\nextern int cairn_header_${id};\nint cairn_header_${id};\n")
    list(APPEND sources ${file})
  endforeach()
  add_library(${name} OBJECT ${sources})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE cairn_options)
endfunction()

# cairn_embed(<target> <symbol> <file>): the file's bytes as `const unsigned char symbol[]` and
# `const unsigned int symbol_size`, in a source generated at build time and added to target.
function(cairn_embed target symbol file)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.c)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} -DIN=${CMAKE_CURRENT_SOURCE_DIR}/${file} -DOUT=${out} -DSYMBOL=${symbol}
            -P ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${PROJECT_SOURCE_DIR}/cmake/Embed.cmake)
  target_sources(${target} PRIVATE ${out})
endfunction()

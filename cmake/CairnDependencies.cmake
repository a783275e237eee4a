# Every third-party library, found once. A header of one is included by the sources of one folder only.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
# 7.84 starts from several threads.
find_package(CURL 7.84 REQUIRED)

pkg_check_modules(LUA REQUIRED IMPORTED_TARGET lua5.4)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(MSGPACK REQUIRED IMPORTED_TARGET msgpack)

find_library(CIVETWEB_LIBRARY civetweb REQUIRED)
find_path(CIVETWEB_INCLUDE civetweb.h REQUIRED)
add_library(civetweb SHARED IMPORTED)
set_target_properties(civetweb PROPERTIES
  IMPORTED_LOCATION ${CIVETWEB_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${CIVETWEB_INCLUDE})

pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka)
# 14 has the pipeline mode.
pkg_check_modules(LIBPQ REQUIRED IMPORTED_TARGET libpq>=14)

# find_package(fdfs) gives the targets fdfs::fdfs (shared) and fdfs::static.
get_filename_component(_fdfs_prefix "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT TARGET fdfs::fdfs)
  find_package(Threads REQUIRED)
  add_library(fdfs::fdfs SHARED IMPORTED)
  set_target_properties(fdfs::fdfs PROPERTIES
    IMPORTED_LOCATION "${_fdfs_prefix}/lib/libfdfs.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_fdfs_prefix}/include")
  add_library(fdfs::static STATIC IMPORTED)
  set_target_properties(fdfs::static PROPERTIES
    IMPORTED_LOCATION "${_fdfs_prefix}/lib/libfdfs.a"
    INTERFACE_INCLUDE_DIRECTORIES "${_fdfs_prefix}/include"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;m;dl;gcc_s")
endif()

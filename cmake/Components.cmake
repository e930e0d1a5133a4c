# fieldstep::hdf5, fieldstep::png, ...: fieldstep::fieldstep plus the package that the headers of that component include.
# Our own build and find_package(fieldstep COMPONENTS ...) both come here.

set(fieldstep_components hdf5 png flax json mpi)

# fieldstep_find_component(NAME): makes the target fieldstep::NAME if its package is found.
# A macro: some find modules set variables that their targets' users need.
macro(fieldstep_find_component component)
  if("${component}" STREQUAL "hdf5")
    find_package(HDF5 QUIET COMPONENTS C)
    find_package(ZLIB QUIET)  # what HDF5 needs too; chunks are unpacked by ourselves
    set(fieldstep_candidates)
    if(ZLIB_FOUND)
      set(fieldstep_candidates hdf5::hdf5 HDF5::HDF5)
    endif()
  elseif("${component}" STREQUAL "png")
    find_package(PNG QUIET)
    set(fieldstep_candidates PNG::PNG)
  elseif("${component}" STREQUAL "flax")
    find_package(msgpack-cxx QUIET CONFIG)  # the name since 5.0
    if(NOT msgpack-cxx_FOUND)
      find_package(msgpack QUIET CONFIG)
    endif()
    set(fieldstep_candidates msgpack-cxx msgpackc-cxx)
  elseif("${component}" STREQUAL "json")
    find_package(nlohmann_json 3.10 QUIET CONFIG)
    set(fieldstep_candidates nlohmann_json::nlohmann_json)
  elseif("${component}" STREQUAL "mpi")
    set(MPI_CXX_SKIP_MPICXX TRUE)  # the C interface
    find_package(MPI QUIET COMPONENTS CXX)
    set(fieldstep_candidates MPI::MPI_CXX)
  else()
    set(fieldstep_candidates)
  endif()
  foreach(fieldstep_candidate IN LISTS fieldstep_candidates)
    if(TARGET ${fieldstep_candidate} AND NOT TARGET fieldstep::${component})
      add_library(fieldstep::${component} INTERFACE IMPORTED GLOBAL)
      target_link_libraries(fieldstep::${component} INTERFACE fieldstep::fieldstep ${fieldstep_candidate})
      if("${component}" STREQUAL "hdf5")
        target_link_libraries(fieldstep::hdf5 INTERFACE ZLIB::ZLIB)
      endif()
    endif()
  endforeach()
endmacro()

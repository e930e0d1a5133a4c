# cmake [-DWRITE=ON] -P cmake/CheckUmbrella.cmake: fieldstep/fieldstep.hpp includes every header that needs no optional
# component, and nothing else. WRITE brings it up to date.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/Headers.cmake")

set(wanted "#pragma once
// Everything that needs Kokkos, Boost.Hana and Eigen alone: convenient for a first try; the specific headers compile
// faster. Headers of the optional components (fieldstep::hdf5, png, ...) are included by their own names only.
#include <fieldstep/version.hpp>
")
set(room)
foreach(header IN LISTS fieldstep_headers)
  fieldstep_needs("${fieldstep_include_dir}/${header}" needs)
  if(NOT needs AND NOT header MATCHES "/detail/")
    string(REGEX MATCH "^[^/]+" room_of_header ${header})
    if(NOT room_of_header STREQUAL room)
      string(APPEND wanted "\n")
      set(room ${room_of_header})
    endif()
    string(APPEND wanted "#include <fieldstep/${header}>\n")
  endif()
endforeach()

set(umbrella "${fieldstep_include_dir}/fieldstep.hpp")
if(WRITE)
  file(WRITE "${umbrella}" "${wanted}")
endif()
file(READ "${umbrella}" found)
if(NOT found STREQUAL wanted)
  message(FATAL_ERROR "include/fieldstep/fieldstep.hpp is not what the headers beside it ask for; "
                      "cmake -DWRITE=ON -P cmake/CheckUmbrella.cmake brings it up to date.")
endif()

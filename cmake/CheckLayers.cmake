# cmake -P cmake/CheckLayers.cmake: who may include what. Rooms stand above one another: core, ops, blocks, models; io,
# train and embed know a network only through concepts. A third party is named by the headers that are there for it.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/Headers.cmake")

set(rooms_below_core)
set(rooms_below_ops core)
set(rooms_below_blocks core ops)
set(rooms_below_models core ops blocks)
set(rooms_below_io core)
set(rooms_below_train core ops)
set(rooms_below_embed core ops io)

# A rule is "<headers> <includes>", two regular expressions.
set(exceptions
    "^train/(checkpoint|callbacks/save_network)\\.hpp$ ^fieldstep/io/")
set(third_party
    "^ ^Kokkos_[A-Za-z]+\\.hpp$"
    "^core/(name|params)\\.hpp$ ^boost/hana/"
    "^core/arena\\.hpp$ ^sys/mman\\.h$"
    "^ops/vec\\.hpp$ ^immintrin\\.h$"
    "^ops/(resample|spectrum|small_svd)\\.hpp$ ^(Eigen|unsupported/Eigen)/"
    "^io/ ^(fcntl|spawn|unistd|sys/[a-z]+)\\.h$"
    "^io/ ^msgpack"
    "^io/ ^hdf5\\.h$"
    "^io/ ^nlohmann/json\\.hpp$"
    "^io/ ^png\\.h$"
    "^io/ ^zlib\\.h$"
    "^io/ ^(Eigen|unsupported/Eigen)/"
    "^train/distributed\\.hpp$ ^mpi\\.h$"
    "^train/side_by_side\\.hpp$ ^sched\\.h$"
    "^embed/field_view\\.hpp$ ^Eigen/")
set(longest 400)

set(faults)
macro(fault)
  string(CONCAT text ${ARGN})
  list(APPEND faults "${text}")
endmacro()

# allowed(HEADER NAME RULES RESULT): the number, from 1, of the rule that lets HEADER include NAME; 0 if there is none.
function(allowed header name rules result)
  set(number 0)
  set(${result} 0 PARENT_SCOPE)
  foreach(rule IN LISTS ${rules})
    math(EXPR number "${number} + 1")
    string(REPLACE " " ";" rule "${rule}")
    list(GET rule 0 headers)
    list(GET rule 1 names)
    if(header MATCHES "${headers}" AND name MATCHES "${names}")
      set(${result} ${number} PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

foreach(header IN LISTS fieldstep_headers)
  string(REGEX MATCH "^[^/]+" room ${header})
  if(NOT DEFINED rooms_below_${room} AND NOT room STREQUAL "core")
    fault("${header}: ${room} is no room")
  endif()
  file(READ "${fieldstep_include_dir}/${header}" text)
  string(REGEX MATCHALL "\n" newlines "${text}")
  list(LENGTH newlines length)
  if(length GREATER longest)
    fault("${header}: ${length} lines, at most ${longest} are wanted: split it")
  endif()

  set(same_room_${header})
  set(packages)
  fieldstep_includes("${fieldstep_include_dir}/${header}" names)
  foreach(name IN LISTS names)
    if(name MATCHES "\\.\\." OR name MATCHES "^\"")
      fault("${header}: includes ${name}, wanted <fieldstep/room/header.hpp>")
    elseif(name MATCHES "^fieldstep/(([^/]+)/(.+))$")
      set(target ${CMAKE_MATCH_1})
      set(target_room ${CMAKE_MATCH_2})
      set(rest ${CMAKE_MATCH_3})
      if(NOT target IN_LIST fieldstep_headers)
        fault("${header}: includes <${name}>, which does not exist")
      elseif(target_room STREQUAL room)
        list(APPEND same_room_${header} ${target})
      else()
        allowed(${header} ${name} exceptions rule)
        if(rest MATCHES "^detail/")
          fault("${header}: includes <${name}>, which belongs to ${target_room} alone")
        elseif(NOT target_room IN_LIST rooms_below_${room} AND NOT rule)
          fault("${header}: includes <${name}>, but ${room} does not stand above ${target_room}")
        endif()
      endif()
    elseif(NOT name MATCHES "^([a-z_0-9]+|fieldstep/version\\.hpp)$")  # no dot, no slash: the standard library
      allowed(${header} ${name} third_party rule)
      if(NOT rule)
        fault("${header}: includes <${name}>, which no rule of cmake/CheckLayers.cmake lets it include")
      endif()
    endif()
  endforeach()
endforeach()

# Cycles: take away headers whose includes are all away; what cannot be taken stands in a cycle or above one.
set(rest ${fieldstep_headers})
set(progress TRUE)
while(progress)
  set(progress FALSE)
  foreach(header IN LISTS rest)
    set(waits FALSE)
    foreach(target IN LISTS same_room_${header})
      if(target IN_LIST rest)
        set(waits TRUE)
      endif()
    endforeach()
    if(NOT waits)
      list(REMOVE_ITEM rest ${header})
      set(progress TRUE)
    endif()
  endforeach()
endwhile()
if(rest)
  list(JOIN rest ", " rest)
  fault("a cycle of includes among ${rest}")
endif()

if(faults)
  list(JOIN faults "\n  " faults)
  message(FATAL_ERROR "include/fieldstep breaks its layers:\n  ${faults}")
endif()

# What fieldstep stands on. Boost.Hana and Eigen come from the machine. Kokkos and Catch2 v3, which distributions seldom
# carry, are taken from the machine, else built from a given source folder, else (FIELDSTEP_FETCH) from a pinned source;
# what is built here is installed into a cache outside the build folder, so that the next build folder finds it ready.

set(FIELDSTEP_KOKKOS_SOURCE "" CACHE PATH "Source folder of Kokkos >= 4.7, built where no installed one is found")
option(FIELDSTEP_FETCH "Download what is missing and has a pinned source" ${PROJECT_IS_TOP_LEVEL})
option(FIELDSTEP_OPENMP "Backend of the Kokkos built here: OpenMP beside Serial" ON)
option(FIELDSTEP_CUDA "Kokkos with CUDA; of the tests those that need no device, compiled by nvcc" OFF)
set(FIELDSTEP_GPU HOPPER90 CACHE STRING "Kokkos' name of the GPU architecture to build for")

if(DEFINED ENV{FIELDSTEP_DEPS})
  set(cache "$ENV{FIELDSTEP_DEPS}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(cache "$ENV{XDG_CACHE_HOME}/fieldstep")
else()
  set(cache "$ENV{HOME}/.cache/fieldstep")
endif()
set(FIELDSTEP_DEPS "${cache}" CACHE PATH "Where the dependencies built here are kept")

# fieldstep_download(URL SHA256 DEST): unpacks an upstream archive into DEST; without internet DEST stays absent.
function(fieldstep_download url sha256 dest)
  if(EXISTS "${dest}/CMakeLists.txt")
    return()
  endif()
  set(archive "${dest}.tar.gz")
  file(DOWNLOAD "${url}" "${archive}" TIMEOUT 300 INACTIVITY_TIMEOUT 20 STATUS status)
  list(GET status 0 code)
  if(code EQUAL 0)
    file(SHA256 "${archive}" found)
    if(found STREQUAL sha256)
      file(REMOVE_RECURSE "${dest}.unpacked")
      file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${dest}.unpacked")
      file(GLOB folder "${dest}.unpacked/*")
      file(RENAME "${folder}" "${dest}")
      file(REMOVE_RECURSE "${dest}.unpacked")
    else()
      message(STATUS "${url}: SHA-256 is ${found}, wanted ${sha256}; not used")
    endif()
  endif()
  file(REMOVE "${archive}")
endfunction()

# fieldstep_run_script(DEST COMMAND...): runs a fetch script that fills DEST; its failure only leaves DEST absent.
function(fieldstep_run_script dest)
  if(NOT EXISTS "${dest}/CMakeLists.txt")
    execute_process(COMMAND ${ARGN} OUTPUT_FILE "${dest}.log" ERROR_FILE "${dest}.log" RESULT_VARIABLE code)
    if(NOT code EQUAL 0)
      list(GET ARGN 0 script)
      cmake_path(GET script FILENAME script)
      message(STATUS "${script} did not succeed, see ${dest}.log")
    endif()
  endif()
endfunction()

# fieldstep_build_once(SOURCE PREFIX OPTIONS...): builds SOURCE and installs it to PREFIX, unless that is done already.
function(fieldstep_build_once source prefix)
  if(EXISTS "${prefix}/.complete")
    return()
  endif()
  cmake_path(GET prefix FILENAME name)
  message(STATUS "Building ${name} once, into ${prefix}")
  set(build "${prefix}.build")
  set(log "${prefix}.log")
  set(parallel --parallel)
  if(NOT DEFINED ENV{CMAKE_BUILD_PARALLEL_LEVEL})
    cmake_host_system_information(RESULT cores QUERY NUMBER_OF_LOGICAL_CORES)
    list(APPEND parallel ${cores})
  endif()
  file(REMOVE_RECURSE "${prefix}")  # not the build: one that was interrupted goes on
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${source}" -B "${build}" -G "${CMAKE_GENERATOR}" -DCMAKE_BUILD_TYPE=Release
            "-DCMAKE_INSTALL_PREFIX=${prefix}" -DCMAKE_INSTALL_LIBDIR=lib "-DCMAKE_CXX_COMPILER=${CMAKE_CXX_COMPILER}"
            "-DCMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER}" "-DCMAKE_TOOLCHAIN_FILE=${CMAKE_TOOLCHAIN_FILE}"
            -DCMAKE_CXX_STANDARD=20 -DCMAKE_POSITION_INDEPENDENT_CODE=ON ${ARGN}
    COMMAND_ECHO NONE OUTPUT_FILE "${log}" ERROR_FILE "${log}" RESULT_VARIABLE code)
  if(code EQUAL 0)
    execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" --config Release --target install ${parallel}
                    OUTPUT_FILE "${log}" ERROR_FILE "${log}" RESULT_VARIABLE code)
  endif()
  if(code EQUAL 0)
    file(REMOVE_RECURSE "${build}")
    file(TOUCH "${prefix}/.complete")
  else()
    message(STATUS "Building ${name} failed, see ${log}")
  endif()
endfunction()

if(FIELDSTEP_CUDA)
  enable_language(CUDA)
endif()

string(TOLOWER "${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION}-${CMAKE_SYSTEM_PROCESSOR}" toolchain)

# --- Kokkos: the one dependency of every header ----------------------------------------------------------------------

# Sources of the pinned release: upstream where the internet is open, else the package index.
function(fieldstep_fetch_kokkos dest)
  fieldstep_download(https://github.com/kokkos/kokkos/releases/download/4.7.00/kokkos-4.7.00.tar.gz
                     126b774a24dde8c1085c4aede7564c0b7492d6a07d85380f2b387a712cea1ff5 "${dest}")
  fieldstep_run_script("${dest}" "${PROJECT_SOURCE_DIR}/cmake/fetch_kokkos.sh" "${dest}")
endfunction()

# Kokkos 4.7.00 calls two functions of the CUDA runtime whose signatures changed in CUDA 13.
function(fieldstep_patch_kokkos source patched)
  if(NOT EXISTS "${patched}/CMakeLists.txt")
    file(REMOVE_RECURSE "${patched}.tmp")
    file(COPY "${source}/" DESTINATION "${patched}.tmp")
    execute_process(COMMAND patch -p1 -i "${PROJECT_SOURCE_DIR}/cmake/kokkos-4.7.00-cuda13.patch"
                    WORKING_DIRECTORY "${patched}.tmp" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
    file(RENAME "${patched}.tmp" "${patched}")
  endif()
endfunction()

# No Kokkos_ARCH_* for the host: it would put -march on every consumer; the instruction set stays the choice of the final build.
function(fieldstep_build_kokkos)
  file(LOCK "${FIELDSTEP_DEPS}/lock" GUARD FUNCTION TIMEOUT 3600)
  if(FIELDSTEP_KOKKOS_SOURCE)
    if(NOT EXISTS "${FIELDSTEP_KOKKOS_SOURCE}/CMakeLists.txt")
      message(FATAL_ERROR "FIELDSTEP_KOKKOS_SOURCE: ${FIELDSTEP_KOKKOS_SOURCE} has no CMakeLists.txt, wanted Kokkos' sources")
    endif()
    file(SHA256 "${FIELDSTEP_KOKKOS_SOURCE}/CMakeLists.txt" id)
    string(SHA256 id "${FIELDSTEP_KOKKOS_SOURCE} ${id}")
    string(SUBSTRING "${id}" 0 12 id)
    set(source "${FIELDSTEP_KOKKOS_SOURCE}")
  else()
    set(id 4.7.00)
    set(source "${FIELDSTEP_DEPS}/source/kokkos-${id}")
    file(MAKE_DIRECTORY "${FIELDSTEP_DEPS}/source")
  endif()
  set(options -DKokkos_ENABLE_SERIAL=ON -DKokkos_ENABLE_OPENMP=${FIELDSTEP_OPENMP} -DKokkos_ENABLE_DEPRECATED_CODE_4=OFF)
  set(backend serial)
  if(FIELDSTEP_OPENMP)
    set(backend openmp)
  endif()
  if(FIELDSTEP_CUDA)
    # CMAKE_CUDA_STANDARD alone passes no -std to nvcc 13 (CMake 3.25).
    list(APPEND options -DKokkos_ENABLE_CUDA=ON -DKokkos_ENABLE_COMPILE_AS_CMAKE_LANGUAGE=ON -DKokkos_ARCH_${FIELDSTEP_GPU}=ON
         "-DCMAKE_CUDA_COMPILER=${CMAKE_CUDA_COMPILER}" "-DCMAKE_CUDA_FLAGS=-std=c++20")
    string(APPEND backend -cuda-${CMAKE_CUDA_COMPILER_VERSION}-${FIELDSTEP_GPU})
  endif()
  set(prefix "${FIELDSTEP_DEPS}/kokkos-${id}-${toolchain}-${backend}")
  if(NOT EXISTS "${prefix}/.complete" AND NOT FIELDSTEP_KOKKOS_SOURCE)
    fieldstep_fetch_kokkos("${source}")
    if(FIELDSTEP_CUDA AND EXISTS "${source}/CMakeLists.txt")
      fieldstep_patch_kokkos("${source}" "${source}-cuda13")
      string(APPEND source -cuda13)
    endif()
  endif()
  if(EXISTS "${prefix}/.complete" OR EXISTS "${source}/CMakeLists.txt")
    fieldstep_build_once("${source}" "${prefix}" ${options})
  endif()
  set(Kokkos_ROOT "${prefix}" PARENT_SCOPE)
endfunction()

if(NOT TARGET Kokkos::kokkos)
  if(NOT FIELDSTEP_KOKKOS_SOURCE)
    find_package(Kokkos 4.7 CONFIG QUIET)
  endif()
  if(NOT Kokkos_FOUND AND (FIELDSTEP_KOKKOS_SOURCE OR FIELDSTEP_FETCH))
    fieldstep_build_kokkos()
    find_package(Kokkos 4.7 CONFIG QUIET)
  endif()
  if(NOT Kokkos_FOUND)
    message(FATAL_ERROR
            "fieldstep needs Kokkos >= 4.7 and found none: install it and name it with -DKokkos_ROOT=PREFIX, or give its "
            "source folder with -DFIELDSTEP_KOKKOS_SOURCE=DIR, or let -DFIELDSTEP_FETCH=ON download the pinned release.")
  endif()
endif()

# --- Boost.Hana and Eigen: headers of the machine --------------------------------------------------------------------

find_package(Boost 1.74 QUIET)
find_package(Eigen3 3.4 QUIET CONFIG)
foreach(package IN ITEMS "Boost;libboost-dev" "Eigen3;libeigen3-dev")
  list(GET package 0 name)
  list(GET package 1 debian)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "fieldstep needs the headers of ${name} and found none: install ${debian} (Debian's name of it).")
  endif()
endforeach()

# --- Catch2 v3: only for our own tests -------------------------------------------------------------------------------

function(fieldstep_build_catch2)
  file(LOCK "${FIELDSTEP_DEPS}/lock" GUARD FUNCTION TIMEOUT 3600)
  set(source "${FIELDSTEP_DEPS}/source/catch2-3")
  set(prefix "${FIELDSTEP_DEPS}/catch2-3-${toolchain}")
  if(NOT EXISTS "${prefix}/.complete")
    file(MAKE_DIRECTORY "${FIELDSTEP_DEPS}/source")
    fieldstep_download(https://github.com/catchorg/Catch2/archive/refs/tags/v3.7.1.tar.gz
                       c991b247a1a0d7bb9c39aa35faf0fe9e19764213f28ffba3109388e62ee0269c "${source}")
    fieldstep_run_script("${source}" "${PROJECT_SOURCE_DIR}/cmake/fetch_debian_source.sh" catch2 3.4 "${source}"
                         bookworm-backports trixie)
  endif()
  if(EXISTS "${prefix}/.complete" OR EXISTS "${source}/CMakeLists.txt")
    fieldstep_build_once("${source}" "${prefix}" -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=32
                         -DCATCH_INSTALL_DOCS=OFF -DBUILD_TESTING=OFF)
  endif()
  set(Catch2_ROOT "${prefix}" PARENT_SCOPE)
endfunction()

if(FIELDSTEP_TESTS)
  find_package(Catch2 3 CONFIG QUIET)
  if(NOT Catch2_FOUND AND FIELDSTEP_FETCH)
    fieldstep_build_catch2()
    find_package(Catch2 3 CONFIG QUIET)
  endif()
  if(NOT Catch2_FOUND)
    message(STATUS "Unit tests are off: found no Catch2 v3 (name an installed one with -DCatch2_ROOT=PREFIX)")
  endif()
endif()

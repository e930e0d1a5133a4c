# Warnings are errors on our own targets, never on a user's: link fieldstep_warnings PRIVATE, it is not installed.
add_library(fieldstep_warnings INTERFACE)
target_compile_options(fieldstep_warnings INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror>
  # g++ 12 sees an overlap in every "text" + std::string(...) that it inlines (GCC bug 105651), and an uninitialised
  # variable in every AVX-512 intrinsic that leaves lanes undefined (GCC bug 105593), Eigen's too.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict -Wno-maybe-uninitialized -Wno-uninitialized>)

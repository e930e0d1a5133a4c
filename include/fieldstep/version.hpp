#pragma once
// The only place of the version; CMake reads these three lines.
#define FIELDSTEP_VERSION_MAJOR 0
#define FIELDSTEP_VERSION_MINOR 1
#define FIELDSTEP_VERSION_PATCH 0

namespace fieldstep {

struct Version {
  int major, minor, patch;
};

inline constexpr Version version{FIELDSTEP_VERSION_MAJOR, FIELDSTEP_VERSION_MINOR, FIELDSTEP_VERSION_PATCH};

}  // namespace fieldstep

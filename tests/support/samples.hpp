#pragma once
#include <filesystem>
#include <string>

namespace fieldstep::support {

/// A file of tests/samples, such as poseidon/NS-PwC.nc.
inline std::filesystem::path sample(const std::string& name) {
  return std::filesystem::path(FIELDSTEP_SAMPLE_DIR) / name;
}

}  // namespace fieldstep::support

#pragma once
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fieldstep::support {

/// What tests of writers of named arrays write.
inline const std::vector<float> six{1, 2, 3, 4, 5, 6};

/// All bytes of a file.
inline std::string content(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace fieldstep::support

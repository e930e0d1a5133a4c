#pragma once
#include <fieldstep/core/error.hpp>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fieldstep::support {

/// A tensor of a golden file, in double whatever its type was.
struct StoredTensor {
  std::vector<int> shape;
  bool in_double = false;
  std::vector<double> values;
};

/// The goldens' own reader: as simple as the format, and no code of the library under test.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
    std::uint64_t length = 0;
    file_.read(reinterpret_cast<char*>(&length), sizeof length);
    if (!file_) fail(path.string(), ": cannot be read, wanted the tensors of a golden case");
    std::string header(length, ' ');
    file_.read(header.data(), static_cast<std::streamsize>(length));
    header_ = nlohmann::json::parse(header);
    first_byte_ = sizeof length + length;
  }

  bool contains(const std::string& name) const { return header_.contains(name); }

  StoredTensor at(const std::string& name) const {
    if (!contains(name)) fail(path_.string(), ": holds no tensor ", name);
    const auto& entry = header_.at(name);
    const std::string dtype = entry.at("dtype");
    StoredTensor tensor{entry.at("shape"), dtype == "F64", {}};
    if (dtype == "F64")
      read<double>(entry, tensor.values);
    else if (dtype == "F32")
      read<float>(entry, tensor.values);
    else if (dtype == "I32")  // indices
      read<std::int32_t>(entry, tensor.values);
    else if (dtype == "U8")  // masks
      read<unsigned char>(entry, tensor.values);
    else
      fail(path_.string(), ": tensor ", name, " is of type ", dtype, ", wanted F32, F64, I32 or U8");
    return tensor;
  }

 private:
  template <class T>
  void read(const nlohmann::json& entry, std::vector<double>& values) const {
    const std::uint64_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    std::vector<T> numbers((end - begin) / sizeof(T));
    file_.seekg(static_cast<std::streamoff>(first_byte_ + begin));
    file_.read(reinterpret_cast<char*>(numbers.data()), static_cast<std::streamsize>(end - begin));
    values.assign(numbers.begin(), numbers.end());
  }

  std::filesystem::path path_;
  mutable std::ifstream file_;
  nlohmann::json header_;
  std::uint64_t first_byte_ = 0;
};

}  // namespace fieldstep::support

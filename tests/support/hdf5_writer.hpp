#pragma once
#include <hdf5.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace fieldstep::support {

/// Makes HDF5 files for tests, sound and unsound ones. Closed by its destructor.
class Hdf5Writer {
 public:
  using Shape = std::vector<hsize_t>;

  explicit Hdf5Writer(const std::filesystem::path& path)
      : file_(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT)) {}
  Hdf5Writer(const Hdf5Writer&) = delete;
  Hdf5Writer& operator=(const Hdf5Writer&) = delete;
  ~Hdf5Writer() { H5Fclose(file_); }

  hid_t file() const { return file_; }

  void group(const std::string& name) {
    H5Gclose(H5Gcreate2(file_, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  }

  /// Values 0, 1, 2, ... converted to the type of the file.
  void counted(const std::string& name, const Shape& shape, hid_t type = H5T_IEEE_F32LE, const Shape& chunk = {}) {
    std::vector<float> values(size(shape));
    std::iota(values.begin(), values.end(), 0.0f);
    write(name, shape, values, type, chunk);
  }

  void write(const std::string& name, const Shape& shape, const std::vector<float>& values, hid_t type = H5T_IEEE_F32LE,
             const Shape& chunk = {}) {
    const hid_t plist = chunked(chunk);
    const hid_t dataset = create(name, shape, type, plist);
    H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(dataset);
    H5Pclose(plist);
  }

  /// A dataset without values; its identifier and property list are the caller's to close.
  hid_t create(const std::string& name, const Shape& shape, hid_t type, hid_t plist) {
    const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
    const hid_t links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    const hid_t dataset = H5Dcreate2(file_, name.c_str(), type, space, links, plist, H5P_DEFAULT);
    H5Pclose(links);
    H5Sclose(space);
    return dataset;
  }

  static hid_t chunked(const Shape& chunk) {
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (!chunk.empty()) H5Pset_chunk(plist, static_cast<int>(chunk.size()), chunk.data());
    return plist;
  }

  static std::size_t size(const Shape& shape) {
    return std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>{});
  }

 private:
  hid_t file_;
};

}  // namespace fieldstep::support

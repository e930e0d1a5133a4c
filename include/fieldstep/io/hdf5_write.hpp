#pragma once
#include <fieldstep/io/atomic_file.hpp>
#include <fieldstep/io/detail/hdf5_library.hpp>
#include <fieldstep/io/hdf5_dataset.hpp>
#include <fieldstep/io/named_array.hpp>

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

namespace fieldstep::io {

namespace detail {

inline void write_hdf5_array(hid_t file, const NamedArray& array) {
  const Hdf5Shape shape(array.shape.begin(), array.shape.end());
  const Hdf5Space space(shape.empty() ? H5Screate(H5S_SCALAR)
                                      : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr));
  const Hdf5Plist plain(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(plain.id(), false);  // equal arrays give equal files
  const Hdf5Object dataset(
      H5Dcreate2(file, array.name.c_str(), H5T_IEEE_F32LE, space.id(), H5P_DEFAULT, plain.id(), H5P_DEFAULT));
  if (!dataset || H5Dwrite(dataset.id(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, array.values.data()) < 0)
    fail("array ", printable(array.name), " cannot be written (", hdf5_reason(), ")");
}

}  // namespace detail

/// One float32 dataset an array in the root group. The library makes the file in memory: after a failed write to disk
/// it cannot close a file any more and crashes at the program's end (seen with 1.10).
inline void write_hdf5(const std::filesystem::path& path, std::span<const NamedArray> arrays) {
  const std::vector<std::byte> image = in_file(path, [&] {
    constexpr std::size_t growth = std::size_t{1} << 20;
    constexpr const char* nowhere = "/dev/null/image";  // a file of that name would be opened, and none can be there
    check_arrays(arrays);
    const detail::Hdf5Session session;
    const detail::Hdf5Plist in_memory(H5Pcreate(H5P_FILE_ACCESS));
    H5Pset_fapl_core(in_memory.id(), growth, false);
    const detail::Hdf5FileHandle file(H5Fcreate(nowhere, H5F_ACC_TRUNC, H5P_DEFAULT, in_memory.id()));
    if (!file) fail("cannot be made as HDF5 (", detail::hdf5_reason(), ")");
    for (const NamedArray& array : arrays) detail::write_hdf5_array(file.id(), array);

    const ssize_t size = H5Fflush(file.id(), H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file.id(), nullptr, 0);
    std::vector<std::byte> bytes(size < 0 ? 0 : static_cast<std::size_t>(size));
    if (H5Fget_file_image(file.id(), bytes.data(), bytes.size()) != size || size < 0)
      fail("cannot be made as HDF5 (", detail::hdf5_reason(), ")");
    return bytes;
  });
  AtomicFile file(path);
  file.write(image);
  file.commit();
}

}  // namespace fieldstep::io

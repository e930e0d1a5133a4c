#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/detail/hdf5_chunk.hpp>
#include <fieldstep/io/detail/hdf5_library.hpp>
#include <fieldstep/io/tensor_file.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace fieldstep::io {

using Hdf5Shape = std::vector<hsize_t>;

namespace detail {

/// visit(index) for every index of begin, begin + step, ... < end along each axis, the last axis fastest.
template <class Visit>
void for_each_index(const Hdf5Shape& begin, const Hdf5Shape& end, const Hdf5Shape& step, Visit&& visit) {
  Hdf5Shape index = begin;
  for (bool more = true; more;) {
    visit(std::as_const(index));
    more = false;
    for (std::size_t axis = index.size(); axis-- > 0 && !more;) {
      index[axis] += step[axis];
      more = index[axis] < end[axis];
      if (!more) index[axis] = begin[axis];
    }
  }
}

/// Place of `index` in a row-major array of this shape that begins at `origin`.
inline std::size_t place(const Hdf5Shape& index, std::span<const hsize_t> origin, std::span<const hsize_t> shape) {
  std::size_t at = 0;
  for (std::size_t axis = 0; axis < index.size(); ++axis) at = at * shape[axis] + (index[axis] - origin[axis]);
  return at;
}

}  // namespace detail

/// Which types a dataset may have: fields are floating-point numbers, a recording may be counts.
enum class Hdf5Numbers { floating, any };

/// An array of numbers of any width and byte order; reads give float. Whatever the file declares is checked against
/// what it stores before anything is allocated.
class Hdf5Dataset {
 public:
  /// `label` names file and dataset in messages; more than `limit` bytes declared are refused.
  Hdf5Dataset(std::string label, detail::Hdf5Object object, std::uint64_t file_bytes, std::uint64_t limit,
              Hdf5Numbers wanted = Hdf5Numbers::floating);

  const Hdf5Shape& shape() const noexcept { return shape_; }

  /// The block of `count` values along each axis that begins at `offset`, row-major.
  std::vector<float> read(std::span<const hsize_t> offset, std::span<const hsize_t> count) const;

  /// Everything.
  std::vector<float> read() const { return read(Hdf5Shape(shape_.size(), 0), shape_); }

 private:
  void check_extents(std::uint64_t limit);
  void check_storage(std::uint64_t file_bytes);
  void check_filters(hid_t plist);
  void check_block(std::span<const hsize_t> offset, std::span<const hsize_t> count) const;
  template <class Visit>
  void for_each_chunk(std::span<const hsize_t> offset, std::span<const hsize_t> count, Visit&& visit) const;
  std::vector<float> read_chunk(const Hdf5Shape& corner, std::size_t stored_bytes) const;
  std::vector<float> read_chunked(std::span<const hsize_t> offset, std::span<const hsize_t> count) const;
  std::vector<float> read_contiguous(std::span<const hsize_t> offset, std::span<const hsize_t> count) const;

  std::string label_;
  detail::Hdf5Object object_;
  detail::Hdf5Type type_;
  std::size_t item_bytes_ = 0;
  Hdf5Shape shape_;
  Hdf5Shape chunk_;  // extents of a chunk; empty if the values lie in one piece
  std::size_t chunk_items_ = 1;
  detail::ChunkPacking packing_;
};

inline Hdf5Dataset::Hdf5Dataset(std::string label, detail::Hdf5Object object, std::uint64_t file_bytes,
                                std::uint64_t limit, Hdf5Numbers wanted)
    : label_(std::move(label)), object_(std::move(object)) {
  const detail::Hdf5Session session;
  if (H5Iget_type(object_.id()) != H5I_DATASET) fail(label_, " is a group, wanted a dataset");
  type_ = detail::Hdf5Type(H5Dget_type(object_.id()));
  const H5T_class_t kind = H5Tget_class(type_.id());
  if (kind != H5T_FLOAT && wanted == Hdf5Numbers::floating) fail(label_, " does not hold floating-point numbers");
  if (kind != H5T_FLOAT && kind != H5T_INTEGER) fail(label_, " does not hold numbers");
  item_bytes_ = H5Tget_size(type_.id());
  check_extents(limit);
  check_storage(file_bytes);
}

inline void Hdf5Dataset::check_extents(std::uint64_t limit) {
  constexpr int most_axes = 8;
  constexpr std::uint64_t longest_axis = std::uint64_t{1} << 40;
  const detail::Hdf5Space space(H5Dget_space(object_.id()));
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank < 0 || H5Sget_simple_extent_type(space.id()) == H5S_NULL) fail(label_, " has no shape");
  if (rank > most_axes) fail(label_, " has ", rank, " axes, wanted at most ", most_axes);
  shape_.resize(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space.id(), shape_.data(), nullptr);

  std::uint64_t bytes = item_bytes_;
  for (const hsize_t extent : shape_) {
    const bool overflow = __builtin_mul_overflow(bytes, extent, &bytes);
    if (extent > longest_axis || overflow || bytes > limit)
      fail(label_, " declares shape ", shape_text(shape_), ", more than the limit of ", limit >> 20, " MiB");
  }
}

/// Values never stored would read as zeros, and a few bytes could claim any size.
inline void Hdf5Dataset::check_storage(std::uint64_t file_bytes) {
  const detail::Hdf5Plist plist(H5Dget_create_plist(object_.id()));
  const H5D_layout_t layout = H5Pget_layout(plist.id());
  if (layout == H5D_VIRTUAL) fail(label_, " is a virtual dataset, wanted data stored in the file itself");
  if (H5Pget_external_count(plist.id()) != 0)
    fail(label_, " is stored in another file, wanted data stored in the file itself");

  std::uint64_t bytes = item_bytes_;
  for (const hsize_t extent : shape_) bytes *= extent;
  const std::uint64_t stored = H5Dget_storage_size(object_.id());
  if (bytes > 0 && stored == 0) fail(label_, " declares shape ", shape_text(shape_), " but stores no values");
  if (layout != H5D_CHUNKED) {
    if (stored < bytes || stored > file_bytes)
      fail(label_, " declares shape ", shape_text(shape_), " but stores ", stored, " of ", bytes, " bytes");
    return;
  }

  chunk_.resize(shape_.size());
  H5Pget_chunk(plist.id(), static_cast<int>(chunk_.size()), chunk_.data());
  bool overflow = false;
  for (const hsize_t extent : chunk_) overflow |= __builtin_mul_overflow(chunk_items_, extent, &chunk_items_);
  if (overflow || chunk_items_ > (4 * file_bytes + (std::uint64_t{64} << 20)) / item_bytes_)
    fail(label_, " has chunks of shape ", shape_text(chunk_), ", too large for a file of ", file_bytes, " bytes");
  check_filters(plist.id());
}

inline void Hdf5Dataset::check_filters(hid_t plist) {
  constexpr H5Z_filter_t lzf = 32000;  // h5py's, in the registry of the HDF Group
  using detail::Compressor;
  for (int i = 0; i < H5Pget_nfilters(plist); ++i) {
    std::size_t parameters = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(plist, static_cast<unsigned>(i), nullptr, &parameters, nullptr, 0, nullptr, nullptr);
    const bool compressed = packing_.compressor != Compressor::none;
    if (filter == H5Z_FILTER_SHUFFLE && i == 0) {
      packing_.shuffled = true;
    } else if ((filter == H5Z_FILTER_DEFLATE || filter == lzf) && !compressed) {
      packing_.compressor = filter == lzf ? Compressor::lzf : Compressor::deflate;
    } else {
      fail(label_, " is packed with filter ", filter, " as number ", i + 1, ", wanted shuffle and then deflate or LZF");
    }
  }
}

inline void Hdf5Dataset::check_block(std::span<const hsize_t> offset, std::span<const hsize_t> count) const {
  bool fits = offset.size() == shape_.size() && count.size() == shape_.size();
  for (std::size_t axis = 0; fits && axis < shape_.size(); ++axis)
    fits = count[axis] <= shape_[axis] && offset[axis] <= shape_[axis] - count[axis];
  if (!fits)
    fail(label_, " has shape ", shape_text(shape_), ", wanted ", shape_text(count), " from ", shape_text(offset));
}

inline std::vector<float> Hdf5Dataset::read(std::span<const hsize_t> offset, std::span<const hsize_t> count) const {
  check_block(offset, count);
  if (std::ranges::find(count, 0u) != count.end()) return {};
  const detail::Hdf5Session session;
  return chunk_.empty() ? read_contiguous(offset, count) : read_chunked(offset, count);
}

inline std::vector<float> Hdf5Dataset::read_contiguous(std::span<const hsize_t> offset,
                                                       std::span<const hsize_t> count) const {
  hsize_t values = 1;
  for (const hsize_t extent : count) values *= extent;
  const detail::Hdf5Space from(H5Dget_space(object_.id())), to(H5Screate_simple(1, &values, nullptr));
  if (!shape_.empty()) H5Sselect_hyperslab(from.id(), H5S_SELECT_SET, offset.data(), nullptr, count.data(), nullptr);
  std::vector<float> block(values);
  if (H5Dread(object_.id(), H5T_NATIVE_FLOAT, to.id(), from.id(), H5P_DEFAULT, block.data()) < 0)
    fail(label_, " cannot be read (", detail::hdf5_reason(), ")");
  return block;
}

/// visit(corner, stored bytes) for every chunk that the block touches; all of them must be in the file.
template <class Visit>
void Hdf5Dataset::for_each_chunk(std::span<const hsize_t> offset, std::span<const hsize_t> count, Visit&& visit) const {
  Hdf5Shape first(offset.begin(), offset.end()), end = first;
  for (std::size_t axis = 0; axis < first.size(); ++axis) {
    first[axis] -= first[axis] % chunk_[axis];
    end[axis] += count[axis];
  }
  detail::for_each_index(first, end, chunk_, [&](const Hdf5Shape& corner) {
    hsize_t stored = 0;
    if (H5Dget_chunk_storage_size(object_.id(), corner.data(), &stored) < 0 || stored == 0)
      fail(label_, " does not store the chunk at ", shape_text(corner));
    visit(corner, static_cast<std::size_t>(stored));
  });
}

inline std::vector<float> Hdf5Dataset::read_chunked(std::span<const hsize_t> offset,
                                                    std::span<const hsize_t> count) const {
  for_each_chunk(offset, count, [](const Hdf5Shape&, std::size_t) {});  // before anything is allocated
  std::size_t values = 1;
  for (const hsize_t extent : count) values *= extent;
  std::vector<float> block(values);

  const std::size_t rank = shape_.size();
  for_each_chunk(offset, count, [&](const Hdf5Shape& corner, std::size_t stored) {
    const std::vector<float> chunk = read_chunk(corner, stored);
    Hdf5Shape begin(rank), end(rank), row(rank, 1);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      begin[axis] = std::max(corner[axis], offset[axis]);
      end[axis] = std::min(corner[axis] + chunk_[axis], offset[axis] + count[axis]);
    }
    row[rank - 1] = end[rank - 1] - begin[rank - 1];
    detail::for_each_index(begin, end, row, [&](const Hdf5Shape& index) {
      std::copy_n(&chunk[detail::place(index, corner, chunk_)], row[rank - 1],
                  &block[detail::place(index, offset, count)]);
    });
  });
  return block;
}

inline std::vector<float> Hdf5Dataset::read_chunk(const Hdf5Shape& corner, std::size_t stored_bytes) const {
  std::vector<std::byte> stored(stored_bytes);
  std::vector<std::byte> items(chunk_items_ * item_bytes_);
  std::uint32_t skipped = 0;
  if (H5Dread_chunk(object_.id(), H5P_DEFAULT, corner.data(), &skipped, stored.data()) < 0)
    fail(label_, ": the chunk at ", shape_text(corner), " cannot be read (", detail::hdf5_reason(), ")");
  if (!detail::unpack_chunk(stored, packing_, skipped, item_bytes_, items))
    fail(label_, ": the chunk at ", shape_text(corner), " does not unpack to ", items.size(), " bytes");

  items.resize(chunk_items_ * std::max(item_bytes_, sizeof(float)));  // conversion happens in place
  if (H5Tconvert(type_.id(), H5T_NATIVE_FLOAT, chunk_items_, items.data(), nullptr, H5P_DEFAULT) < 0)
    fail(label_, " cannot be converted to float (", detail::hdf5_reason(), ")");
  std::vector<float> chunk(chunk_items_);
  std::memcpy(chunk.data(), items.data(), chunk_items_ * sizeof(float));
  return chunk;
}

}  // namespace fieldstep::io

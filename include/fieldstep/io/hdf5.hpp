#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/detail/hdf5_library.hpp>
#include <fieldstep/io/hdf5_dataset.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Reading HDF5 (and so NetCDF-4) files that nobody vouches for. Only data stored in the file itself is read: links to
/// other places, external storage and virtual datasets are refused, as are declared sizes that the file cannot hold.
namespace fieldstep::io {

namespace detail {

/// The first few names, for an error message.
inline std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t shown = 12;
  std::string text;
  for (std::size_t i = 0; i < std::min(shown, names.size()); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > shown) text += ", ... (" + std::to_string(names.size()) + " names)";
  return text.empty() ? "nothing" : text;
}

}  // namespace detail

/// A dataset as a list shows it.
struct Hdf5Entry {
  std::string name;  ///< with its groups
  Hdf5Shape shape;
  bool numeric = false;
};

class Hdf5File {
 public:
  /// No dataset may declare more than `limit` bytes.
  explicit Hdf5File(const std::filesystem::path& path, std::uint64_t limit = std::uint64_t{64} << 30);

  const std::string& path() const noexcept { return path_; }

  /// Names in a group, sorted by their bytes as h5py lists them.
  std::vector<std::string> names(std::string_view group = "/") const;

  bool contains(std::string_view name) const;
  Hdf5Dataset dataset(std::string_view name, Hdf5Numbers wanted = Hdf5Numbers::floating) const {
    return {path_ + ": " + std::string(name), open(name), bytes_, limit_, wanted};
  }
  /// Everything stored in the file, group after group; links to other places are left out.
  std::vector<Hdf5Entry> datasets() const;

  /// Attribute of a group or dataset, if it is there and is a single text or number.
  std::optional<std::string> text_attribute(std::string_view object, const std::string& name) const;
  std::optional<double> number_attribute(std::string_view object, const std::string& name) const;

  /// Attribute that is a list of texts, or of numbers or truth values; nothing where it is missing or of another kind.
  /// A list of no entries may be of any type, as h5py writes it.
  std::optional<std::vector<std::string>> text_list(std::string_view object, const std::string& name) const;
  std::optional<std::vector<double>> number_list(std::string_view object, const std::string& name) const;

 private:
  detail::Hdf5Object open(std::string_view name) const;
  /// The attribute and how many entries it has, if at most `most`.
  std::optional<std::pair<detail::Hdf5Attribute, std::size_t>> open_attribute(std::string_view object,
                                                                              const std::string& name,
                                                                              std::size_t most) const;

  std::string path_;
  std::uint64_t bytes_ = 0, limit_;
  detail::Hdf5FileHandle file_;
};

namespace detail {

/// Components of a path such as "0000/grid/x".
inline std::vector<std::string> components(std::string_view name) {
  std::vector<std::string> parts;
  while (!name.empty()) {
    const std::size_t slash = std::min(name.find('/'), name.size());
    if (slash > 0) parts.emplace_back(name.substr(0, slash));
    name.remove_prefix(std::min(slash + 1, name.size()));
  }
  return parts;
}

inline std::vector<std::string> hdf5_names(hid_t group) {
  std::vector<std::string> names;
  H5Literate(
      group, H5_INDEX_NAME, H5_ITER_INC, nullptr,
      [](hid_t, const char* name, const H5L_info_t*, void* list) -> herr_t {
        static_cast<std::vector<std::string>*>(list)->emplace_back(name);
        return 0;
      },
      &names);
  return names;
}

}  // namespace detail

inline Hdf5File::Hdf5File(const std::filesystem::path& path, std::uint64_t limit)
    : path_(path.string()), limit_(limit) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) fail(path_, ": no such file");
  if (!std::filesystem::is_regular_file(status)) fail(path_, ": not a regular file, wanted an HDF5 file");
  bytes_ = std::filesystem::file_size(path, error);

  const detail::Hdf5Session session;
  const detail::Hdf5Plist access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(access.id(), false, true);  // some network file systems have none
  file_ = detail::Hdf5FileHandle(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, access.id()));
  if (!file_) fail(path_, ": cannot be read as HDF5 (", detail::hdf5_reason(), ")");
}

/// Goes down component by component, so that no link leads elsewhere unseen.
inline detail::Hdf5Object Hdf5File::open(std::string_view name) const {
  const detail::Hdf5Session session;
  detail::Hdf5Object object(H5Oopen(file_.id(), "/", H5P_DEFAULT));
  std::string where;
  for (const std::string& part : detail::components(name)) {
    if (H5Iget_type(object.id()) != H5I_GROUP) fail(path_, ": ", where, " is a dataset, wanted a group");
    if (H5Lexists(object.id(), part.c_str(), H5P_DEFAULT) <= 0)
      fail(path_, ": no ", part, " in /", where, ", found ", detail::listed(detail::hdf5_names(object.id())));
    where += (where.empty() ? "" : "/") + part;
    H5L_info_t link;
    if (H5Lget_info(object.id(), part.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD)
      fail(path_, ": ", where, " is a link to another place, wanted data stored here");
    detail::Hdf5Object child(H5Oopen(object.id(), part.c_str(), H5P_DEFAULT));
    if (!child) fail(path_, ": ", where, " cannot be opened (", detail::hdf5_reason(), ")");
    object = std::move(child);
  }
  return object;
}

inline bool Hdf5File::contains(std::string_view name) const {
  const detail::Hdf5Session session;
  const std::size_t slash = name.rfind('/');
  const bool nested = slash != std::string_view::npos;
  const std::string parent(name.substr(0, nested ? slash : 0)), last(name.substr(nested ? slash + 1 : 0));
  if (nested && !contains(parent)) return false;
  const detail::Hdf5Object object = open(parent);
  return H5Iget_type(object.id()) == H5I_GROUP && H5Lexists(object.id(), last.c_str(), H5P_DEFAULT) > 0;
}

inline std::vector<std::string> Hdf5File::names(std::string_view group) const {
  const detail::Hdf5Session session;
  const detail::Hdf5Object object = open(group);
  if (H5Iget_type(object.id()) != H5I_GROUP) fail(path_, ": ", group, " is a dataset, wanted a group");
  return detail::hdf5_names(object.id());
}

inline std::vector<Hdf5Entry> Hdf5File::datasets() const {
  constexpr std::size_t most = 4096;  // a group may hold itself
  const detail::Hdf5Session session;
  std::vector<std::pair<std::string, detail::Hdf5Object>> groups;
  groups.emplace_back("", open("/"));
  std::vector<Hdf5Entry> found;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::string prefix = groups[g].first;
    const hid_t group = groups[g].second.id();
    for (const std::string& name : detail::hdf5_names(group)) {
      H5L_info_t link;
      if (H5Lget_info(group, name.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) continue;
      detail::Hdf5Object object(H5Oopen(group, name.c_str(), H5P_DEFAULT));
      const H5I_type_t kind = H5Iget_type(object.id());
      if (groups.size() + found.size() > most) fail(path_, ": more than ", most, " groups and datasets to list");
      if (kind == H5I_GROUP) {
        groups.emplace_back(prefix + name + "/", std::move(object));
        continue;
      }
      if (kind != H5I_DATASET) continue;
      const detail::Hdf5Type type(H5Dget_type(object.id()));
      const detail::Hdf5Space space(H5Dget_space(object.id()));
      const H5T_class_t numbers = H5Tget_class(type.id());
      Hdf5Shape shape(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space.id()), 0)));
      H5Sget_simple_extent_dims(space.id(), shape.data(), nullptr);
      found.push_back({prefix + name, std::move(shape), numbers == H5T_FLOAT || numbers == H5T_INTEGER});
    }
  }
  return found;
}

inline std::optional<std::pair<detail::Hdf5Attribute, std::size_t>> Hdf5File::open_attribute(std::string_view object,
                                                                                             const std::string& name,
                                                                                             std::size_t most) const {
  const detail::Hdf5Object owner = open(object);
  if (H5Aexists(owner.id(), name.c_str()) <= 0) return std::nullopt;
  detail::Hdf5Attribute attribute(H5Aopen(owner.id(), name.c_str(), H5P_DEFAULT));
  if (!attribute) return std::nullopt;
  const detail::Hdf5Space space(H5Aget_space(attribute.id()));
  const hssize_t entries = H5Sget_simple_extent_npoints(space.id());
  if (entries < 0 || static_cast<std::size_t>(entries) > most) return std::nullopt;
  return std::pair(std::move(attribute), static_cast<std::size_t>(entries));
}

inline std::optional<std::vector<std::string>> Hdf5File::text_list(std::string_view object,
                                                                   const std::string& name) const {
  constexpr std::size_t most_entries = 4096, most_bytes = 1 << 16;
  const detail::Hdf5Session session;
  const auto found = open_attribute(object, name, most_entries);
  if (!found) return std::nullopt;
  const auto& [attribute, entries] = *found;
  std::vector<std::string> list(entries);
  if (list.empty()) return list;
  const detail::Hdf5Type type(H5Aget_type(attribute.id()));
  if (H5Tget_class(type.id()) != H5T_STRING) return std::nullopt;
  if (H5Tis_variable_str(type.id()) > 0) {
    std::vector<char*> texts(entries, nullptr);
    const bool read = H5Aread(attribute.id(), type.id(), texts.data()) >= 0;
    for (std::size_t i = 0; i < entries; ++i) {
      if (texts[i] != nullptr) list[i] = texts[i];
      H5free_memory(texts[i]);
    }
    return read ? std::optional(std::move(list)) : std::nullopt;
  }
  const std::size_t size = H5Tget_size(type.id());
  if (size > most_bytes) return std::nullopt;
  std::vector<char> bytes(entries * size);
  if (H5Aread(attribute.id(), type.id(), bytes.data()) < 0) return std::nullopt;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::string_view text(&bytes[i * size], size);
    list[i] = text.substr(0, text.find('\0'));
  }
  return list;
}

inline std::optional<std::vector<double>> Hdf5File::number_list(std::string_view object,
                                                                const std::string& name) const {
  constexpr std::size_t most_entries = 4096;
  const detail::Hdf5Session session;
  const auto found = open_attribute(object, name, most_entries);
  if (!found) return std::nullopt;
  const auto& [attribute, entries] = *found;
  std::vector<double> list(entries);
  if (list.empty()) return list;
  const detail::Hdf5Type type(H5Aget_type(attribute.id()));
  const H5T_class_t kind = H5Tget_class(type.id());  // h5py's truth values are an enumeration
  if ((kind != H5T_FLOAT && kind != H5T_INTEGER && kind != H5T_ENUM) ||
      H5Aread(attribute.id(), H5T_NATIVE_DOUBLE, list.data()) < 0)
    return std::nullopt;
  return list;
}

inline std::optional<std::string> Hdf5File::text_attribute(std::string_view object, const std::string& name) const {
  auto list = text_list(object, name);
  return list && list->size() == 1 ? std::optional(std::move(list->front())) : std::nullopt;
}

inline std::optional<double> Hdf5File::number_attribute(std::string_view object, const std::string& name) const {
  const auto list = number_list(object, name);
  return list && list->size() == 1 ? std::optional(list->front()) : std::nullopt;
}

}  // namespace fieldstep::io

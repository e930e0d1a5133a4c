#pragma once
#include <fieldstep/io/hdf5.hpp>
#include <fieldstep/io/recording.hpp>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace fieldstep::io {

namespace detail {

/// By its extension.
inline bool named_hdf5(const std::filesystem::path& path) {
  return path.extension() == ".h5" || path.extension() == ".hdf5";
}

/// run.h5:group/x is the file run.h5 and group/x in it. Without a colon no dataset is named.
inline std::pair<std::filesystem::path, std::string> file_and_dataset(const std::filesystem::path& path) {
  const std::string text = path.string();
  for (std::size_t at = text.find(':'); at != text.npos; at = text.find(':', at + 1))
    if (named_hdf5(text.substr(0, at))) return {text.substr(0, at), text.substr(at + 1)};
  return {path, ""};
}

/// The name of the only dataset that can be a recording.
inline std::string only_recording(const Hdf5File& file) {
  std::vector<std::string> names, candidates, others;
  for (const Hdf5Entry& entry : file.datasets()) {
    const bool fits = entry.numeric && (entry.shape.size() == 2 || entry.shape.size() == 3);
    (fits ? candidates : others).push_back(entry.name + " " + shape_text(entry.shape));
    if (fits) names.push_back(entry.name);
  }
  if (names.empty())
    fail(file.path(), ": no dataset (time, channels) or (sequences, time, channels) of numbers, found ",
         listed(others));
  if (names.size() > 1)
    fail(file.path(), ": which of its datasets, as in ", file.path(), ":", names.front(), "? Found ",
         listed(candidates));
  return names.front();
}

}  // namespace detail

/// From HDF5: the dataset that `path` names after a colon, as in run.h5:group/x, or the only one that can be a
/// recording.
inline Recording read_hdf5_recording(const std::filesystem::path& path) {
  const auto [file_path, named] = detail::file_and_dataset(path);
  const Hdf5File file(file_path);
  const std::string name = named.empty() ? detail::only_recording(file) : named;
  const Hdf5Dataset dataset = file.dataset(name, Hdf5Numbers::any);
  const std::string label = file.path() + ": " + name;  // which the dataset itself puts before what it says
  Recording read =
      in_file(label, [&] { return detail::unread_recording(Extents(dataset.shape().begin(), dataset.shape().end())); });
  read.values = dataset.read();
  in_file(label, [&] { detail::check_finite(read); });
  return read;
}

/// As read_recording, or from HDF5.
inline Recording read_any_recording(const std::filesystem::path& path) {
  const bool hdf5 = detail::named_hdf5(detail::file_and_dataset(path).first);
  return hdf5 ? read_hdf5_recording(path) : read_recording(path);
}

}  // namespace fieldstep::io

#pragma once
#include <fieldstep/core/error.hpp>

#include <filesystem>
#include <string>

namespace fieldstep::cli {

/// A folder of results that appears under its name only when it is complete: filled beside it under a hidden name and
/// renamed by commit(). Without commit() nothing is left. An earlier result of the same kind is replaced; any other
/// folder or file of that name is refused.
class OutputFolder {
 public:
  /// `mark`: the name of a file that every result of this kind holds.
  OutputFolder(std::filesystem::path path, std::filesystem::path mark);
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  ~OutputFolder();

  const std::filesystem::path& path() const { return path_; }

  /// Runs write(folder); what it complains about names the final folder.
  template <class Write>
  void fill(const Write& write) const {
    try {
      write(partial_);
    } catch (const Error& error) {
      throw Error(with_final_name(error.what()), error.fault());
    }
  }

  void commit();

 private:
  std::string with_final_name(std::string message) const;

  std::filesystem::path path_, mark_, partial_;
};

}  // namespace fieldstep::cli

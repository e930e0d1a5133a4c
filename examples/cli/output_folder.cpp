#include <examples/cli/output_folder.hpp>

#include <unistd.h>

#include <system_error>
#include <utility>

namespace fieldstep::cli {

namespace fs = std::filesystem;

OutputFolder::OutputFolder(fs::path path, fs::path mark) : path_(std::move(path)), mark_(std::move(mark)) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // results/
  std::error_code error;
  if (fs::exists(path_, error) && !(fs::is_directory(path_) && (fs::is_empty(path_) || fs::exists(path_ / mark_))))
    fail(path_.string(), ": exists and is no earlier result (it holds no ", mark_.string(), "); nothing written");
  if (error) fail(path_.string(), ": cannot be looked at (", error.message(), ")");
  fs::path hidden(".");
  hidden += path_.filename();
  hidden += "." + std::to_string(getpid()) + ".partial";
  partial_ = path_.parent_path() / hidden;
  fs::create_directory(partial_, error);
  if (error) fail(path_.string(), ": cannot be created (", error.message(), ")");
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  fs::remove_all(partial_, ignored);
}

void OutputFolder::commit() {
  const fs::path earlier = partial_.string() + ".earlier";
  std::error_code error;
  if (fs::exists(path_)) fs::rename(path_, earlier, error);
  if (!error) fs::rename(partial_, path_, error);
  if (error) fail(path_.string(), ": cannot be put in place (", error.message(), ")");
  fs::remove_all(earlier, error);
}

std::string OutputFolder::with_final_name(std::string message) const {
  const std::size_t at = message.find(partial_.string());
  return at == message.npos ? message : message.replace(at, partial_.string().size(), path_.string());
}

}  // namespace fieldstep::cli

#pragma once
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fieldstep/core/error.hpp>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace fieldstep::io {

/// A file that appears under its name only when it is complete: written beside it under a temporary name, synced and
/// renamed by commit(). Without commit() nothing is left, and what stood there before stays.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
    namespace fs = std::filesystem;
    std::error_code ignored;
    const fs::file_status status = fs::status(path_, ignored);
    // Renaming over a device or a folder would replace it.
    if (fs::exists(status) && !fs::is_regular_file(status))
      fail(path_.string(), ": not a regular file, nothing written");

    const std::string stem = (path_.parent_path() / ("." + path_.filename().string())).string();
    const std::string suffix = "." + std::to_string(getpid()) + ".partial";
    int descriptor = -1;
    for (int attempt = 0; descriptor < 0; ++attempt) {
      temporary_ = stem + "." + std::to_string(attempt) + suffix;
      descriptor = open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
      if (descriptor < 0 && (errno != EEXIST || attempt == 1000)) refuse("cannot be created");
    }
    file_ = fdopen(descriptor, "w+b");
    if (file_ == nullptr) {
      const int reason = errno;
      ::close(descriptor);
      unlink(temporary_.c_str());
      errno = reason;
      refuse("cannot be created");
    }
  }

  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  ~AtomicFile() {
    if (file_ == nullptr) return;
    std::fclose(file_);
    unlink(temporary_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size()) refuse("cannot be written");
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// For libraries and programs that write by themselves; the stream stays ours.
  std::FILE* stream() noexcept { return file_; }

  /// Makes the file appear under its name. Throws where the disk is full, and then nothing appears.
  void commit() {
    if (std::ferror(file_) != 0 || std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) refuse("cannot be written");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) refuse("cannot be put in place");
    std::fclose(std::exchange(file_, nullptr));
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    const int reason = errno;
    fail(path_.string(), ": ", what, " (", std::strerror(reason), ")");
  }

  std::filesystem::path path_;
  std::string temporary_;
  std::FILE* file_ = nullptr;
};

/// Writes the whole text at once.
inline void write_text(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace fieldstep::io

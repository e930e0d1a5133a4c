#pragma once
#include <fieldstep/io/bytes.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>

namespace fieldstep::io {

/// A regular file in the address space, read-only. Nothing is read until it is touched. A file that another process
/// shortens meanwhile ends the program (SIGBUS): do not write to weights in use.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::filesystem::path& path) {
    // O_NONBLOCK: opening a FIFO must not wait for its writer; it is refused below.
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) fail(path.string(), ": cannot be opened: ", std::strerror(errno));
    struct stat about {};
    const bool known = ::fstat(file, &about) == 0;
    if (!known || !S_ISREG(about.st_mode)) {
      ::close(file);
      fail(path.string(), ": is not a regular file");
    }
    const auto size = static_cast<std::size_t>(about.st_size);
    void* const start = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file, 0);
    const int reason = errno;
    ::close(file);
    if (start == MAP_FAILED) fail(path.string(), ": cannot be mapped: ", std::strerror(reason));
    bytes_ = {static_cast<const std::byte*>(start), size};
  }

  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile() {
    if (!bytes_.empty()) ::munmap(address(bytes_.data()), bytes_.size());
  }

  Bytes bytes() const { return bytes_; }

  /// Gives back the memory of the whole pages inside `part`; touching them again reads the file again.
  /// Bytes of other files are left alone.
  void release(Bytes part) const {
    if (part.data() < bytes_.data() || part.data() + part.size() > bytes_.data() + bytes_.size()) return;
    static const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    const auto first = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
    const auto last = reinterpret_cast<std::uintptr_t>(part.data() + part.size()) / page * page;
    const auto begin = reinterpret_cast<std::uintptr_t>(part.data());
    if (first < last) ::madvise(address(part.data() + (first - begin)), last - first, MADV_DONTNEED);
  }

 private:
  static void* address(const std::byte* p) { return const_cast<std::byte*>(p); }

  Bytes bytes_;
};

}  // namespace fieldstep::io

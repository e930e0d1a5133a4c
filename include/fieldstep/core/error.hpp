#pragma once
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fieldstep {

/// Whose mistake it was; a program turns it into its exit code.
enum class Fault {
  data,   ///< a file, a value or the machine: exit code 1
  usage,  ///< an argument of the caller: exit code 2
};

/// The one exception of the library. The message is one sentence: where it happened (file, tensor or argument), what
/// was found, what was wanted.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, Fault fault = Fault::data) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const noexcept { return fault_; }

 private:
  Fault fault_;
};

namespace detail {
template <class... Parts>
std::string joined(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  return text.str();
}
}  // namespace detail

/// Throws Error with the parts written one after the other: fail(path, ": found ", n, " frames, wanted at least ", k).
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(detail::joined(parts...));
}

/// As fail, for a mistake of the caller (exit code 2).
template <class... Parts>
[[noreturn]] void fail_usage(const Parts&... parts) {
  throw Error(detail::joined(parts...), Fault::usage);
}

}  // namespace fieldstep

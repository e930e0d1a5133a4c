#pragma once
#include <chrono>
#include <string>
#include <string_view>

namespace fieldstep::cli {

/// A bar with rate and time left on the terminal's last line; silent where the error stream is no terminal.
class Progress {
 public:
  /// done: steps that an earlier run has made.
  Progress(std::string what, long total, bool quiet, long done = 0);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  ///< clears the line

  /// One step further; the note stands behind the bar.
  void advance(std::string_view note = {});

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  long total_, done_, earlier_;
  bool shown_;
  Clock::time_point start_ = Clock::now(), drawn_{};
};

}  // namespace fieldstep::cli

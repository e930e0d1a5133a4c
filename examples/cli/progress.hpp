#pragma once
#include <string>

#include <chrono>

namespace fieldstep::cli {

/// A bar with rate and time left on the terminal's last line; silent where the error stream is no terminal.
class Progress {
 public:
  Progress(std::string what, int total, bool quiet);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();  ///< clears the line

  void advance();

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  int total_, done_ = 0;
  bool shown_;
  Clock::time_point start_ = Clock::now(), drawn_{};
};

}  // namespace fieldstep::cli

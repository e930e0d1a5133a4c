#include <examples/cli/progress.hpp>

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace fieldstep::cli {

Progress::Progress(std::string what, long total, bool quiet, long done)
    : what_(std::move(what)),
      total_(total),
      done_(done),
      earlier_(done),
      shown_(!quiet && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

void Progress::advance(std::string_view note) {
  ++done_;
  const auto now = Clock::now();
  if (!shown_ || (done_ < total_ && now - drawn_ < std::chrono::milliseconds(100))) return;
  drawn_ = now;
  constexpr int width = 30;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done_ - earlier_) / seconds;
  const std::string bar(static_cast<std::size_t>(width * done_ / total_), '=');
  std::fprintf(stderr, "\r%s [%-*s] %ld/%ld, %.3g/s, %.0f s left%s%.*s\033[K", what_.c_str(), width, bar.c_str(), done_,
               total_, rate, static_cast<double>(total_ - done_) / rate, note.empty() ? "" : ", ",
               static_cast<int>(note.size()), note.data());
}

}  // namespace fieldstep::cli

#pragma once

namespace fieldstep::cli {

/// While this lives, Ctrl-C (SIGINT) and SIGTERM are noted instead of ending the process on the spot, so that what is
/// half done can be cleared away. A second one ends it at once.
class Interruption {
 public:
  struct Request {
    int signal;
  };

  Interruption();
  Interruption(const Interruption&) = delete;
  Interruption& operator=(const Interruption&) = delete;
  ~Interruption();

  /// Throws Request if one was made. To be called where stopping is possible.
  static void check();
};

/// Ends the process as the signal would have: its parent sees what happened.
[[noreturn]] void end_by(Interruption::Request request);

}  // namespace fieldstep::cli

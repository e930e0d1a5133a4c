#include <examples/cli/interruption.hpp>

#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace fieldstep::cli {

namespace {

volatile std::sig_atomic_t requested = 0;  // what a handler may write to

}  // namespace

Interruption::Interruption() {
  requested = 0;
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int number) {
      requested = number;
      std::signal(number, SIG_DFL);
    });
}

Interruption::~Interruption() {
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
}

void Interruption::check() {
  if (requested != 0) throw Request{requested};
}

void end_by(Interruption::Request request) {
  std::signal(request.signal, SIG_DFL);
  std::raise(request.signal);
  std::abort();
}

}  // namespace fieldstep::cli

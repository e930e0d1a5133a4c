#pragma once
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <support/scratch_folder.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace fieldstep::support {

inline std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// How a program ended and what it wrote.
struct Ended {
  int code = -1;  ///< exit code; -1: it was killed
  std::string out, err;
};

/// Runs a program with these arguments, its streams going to files: it sees no terminal.
inline Ended run(std::vector<std::string> words) {
  const ScratchFolder scratch;
  const std::filesystem::path out = scratch / "out", err = scratch / "err";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  Ended ended;
  pid_t child = 0;
  if (posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ) == 0) {
    int status = 0;
    waitpid(child, &status, 0);
    ended = {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(out), text_of(err)};
  }
  posix_spawn_file_actions_destroy(&actions);
  return ended;
}

/// The program of this build.
inline Ended run_fieldstep(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FIELDSTEP_PROGRAM);
  return run(std::move(arguments));
}

/// Whether a run ended with this code and one line on the error stream, as every complaint does.
inline bool complained(const Ended& ended, int code) {
  return ended.code == code && ended.out.empty() && ended.err.starts_with("fieldstep: ") &&
         ended.err.find('\n') == ended.err.size() - 1;
}

}  // namespace fieldstep::support

#pragma once
#include <fieldstep/io/safetensors.hpp>
#include <support/program.hpp>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fieldstep::support {

/// The bytes of all tensors of a safetensors file.
inline std::map<std::string, std::vector<std::byte>> tensors_of(const std::filesystem::path& path) {
  std::map<std::string, std::vector<std::byte>> all;
  const io::TensorFile file = io::read_safetensors(path);
  for (const io::StoredTensor& tensor : file.tensors) {
    std::vector<std::byte>& bytes = all[tensor.name];
    bytes.resize(tensor.size() * io::item_size(tensor.dtype));
    io::copy_items(tensor, bytes.data());
  }
  return all;
}

/// Weights and moments that a training ended with.
inline auto training_tensors(const std::filesystem::path& folder) { return tensors_of(folder / "last.safetensors"); }

/// A run of the program that somebody else may end. Its streams go nowhere.
class Running {
 public:
  explicit Running(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), FIELDSTEP_PROGRAM);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&actions, stream, "/dev/null", O_RDWR, 0);
    std::vector<char*> words;
    for (std::string& argument : arguments) words.push_back(argument.data());
    words.push_back(nullptr);
    if (posix_spawn(&child_, words[0], &actions, nullptr, words.data(), environ) != 0) child_ = 0;
    posix_spawn_file_actions_destroy(&actions);
  }

  void signal(int number) const { kill(child_, number); }

  /// Its exit code, or minus the signal that ended it.
  int wait() const {
    int status = 0;
    waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t child_ = 0;
};

}  // namespace fieldstep::support

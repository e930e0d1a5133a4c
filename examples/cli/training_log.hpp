#pragma once
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace fieldstep::cli {

/// The record of a training: a line of JSON a step in log.jsonl, and curves of the losses drawn from it. A file that
/// cannot be written throws Error.
class TrainingLog {
 public:
  /// Opens the folder's log; of an earlier one the lines up to `step` are kept, which a checkpoint knows of.
  TrainingLog(std::filesystem::path folder, long step);

  /// A step's entries; those named step, loss and validation are drawn.
  void write(const nlohmann::ordered_json& line);

  /// loss.png, .csv and .gp. Returns one line about why there is no picture, if so.
  std::string draw(const std::string& title) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  struct Point {
    double step, value;
  };

  void remember(const nlohmann::ordered_json& line);

  std::filesystem::path folder_, path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<Point> losses_, validations_;
};

}  // namespace fieldstep::cli

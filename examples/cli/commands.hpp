#pragma once
#include <CLI/CLI.hpp>

/// The subcommands of the program, each in the .cpp of its name: they add themselves to the command line and run when
/// they are called there.
namespace fieldstep::cli {

void add_info(CLI::App& app);
void add_convert(CLI::App& app);
void add_compare(CLI::App& app);
void add_forecast(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_train(CLI::App& app);
void add_bench(CLI::App& app);

}  // namespace fieldstep::cli

#include <examples/cli/commands.hpp>
#include <examples/cli/interruption.hpp>
#include <examples/cli/ranks.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/version.hpp>

#include <chrono>
#include <iostream>
#include <new>
#include <string>
#include <thread>

namespace {

std::string version_text() {
  constexpr fieldstep::Version v = fieldstep::version;
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

int complain(const char* sentence, int code) {
  using fieldstep::cli::Ranks;
  if (Ranks::rank() == 0)
    std::cerr << "fieldstep: " << sentence << std::endl;
  else
    std::this_thread::sleep_for(std::chrono::seconds(1));  // most often all have the same mistake, and one says it
  Ranks::abort(code);
  return code;
}

}  // namespace

int main(int argc, char* argv[]) {
  using fieldstep::Fault;
  const fieldstep::cli::Ranks ranks(&argc, &argv);
  try {
    CLI::App app(
        "Neural emulators of physical fields: what is compiled in, weights, forecasts, training, evaluation, speed.",
        "fieldstep");
    app.set_version_flag("--version", version_text());
    app.footer("Exit codes: 0 done, 1 a file, a value or the machine stood in the way, 2 wrong usage.");
    app.require_subcommand(1);
    fieldstep::cli::add_info(app);
    fieldstep::cli::add_convert(app);
    fieldstep::cli::add_compare(app);
    fieldstep::cli::add_forecast(app);
    fieldstep::cli::add_train(app);
    fieldstep::cli::add_evaluate(app);
    fieldstep::cli::add_bench(app);
    try {
      app.parse(argc, argv);
    } catch (const CLI::Success& request) {  // --help, --version
      return app.exit(request);
    } catch (const CLI::ParseError& error) {
      return complain(error.what(), 2);
    }
    if (!std::cout.flush()) fieldstep::fail("standard output: cannot be written");
    return 0;
  } catch (const fieldstep::cli::Interruption::Request& request) {
    fieldstep::cli::end_by(request);
  } catch (const fieldstep::Error& error) {
    return complain(error.what(), error.fault() == Fault::usage ? 2 : 1);
  } catch (const std::bad_alloc&) {
    return complain("there is not enough memory", 1);
  } catch (const std::exception& error) {
    return complain(error.what(), 1);
  }
}

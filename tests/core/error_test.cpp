#include <fieldstep/core/error.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;

namespace {

template <class Throwing>
Error caught(const Throwing& throwing) {
  try {
    throwing();
  } catch (const Error& error) {
    return error;
  }
  return Error("nothing was thrown");
}

}  // namespace

TEST_CASE("fail: joins its parts into one sentence", "[core][error]") {
  const Error error = caught([] { fail("run.h5", ": found ", 3, " frames, wanted at least ", 4); });
  CHECK(std::string_view(error.what()) == "run.h5: found 3 frames, wanted at least 4");
  CHECK(error.fault() == Fault::data);
}

TEST_CASE("fail_usage: is the caller's fault", "[core][error]") {
  const Error error = caught([] { fail_usage("--frames: found -1, wanted a positive number"); });
  CHECK(std::string_view(error.what()) == "--frames: found -1, wanted a positive number");
  CHECK(error.fault() == Fault::usage);
}

TEST_CASE("Error: is a std::runtime_error", "[core][error]") { CHECK_THROWS_AS(fail("x"), std::runtime_error); }

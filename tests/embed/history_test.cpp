#include <fieldstep/embed/history.hpp>

#include <catch2/catch_test_macros.hpp>
#include <vector>

using fieldstep::embed::History;

TEST_CASE("History: the window holds the last frames, oldest first", "[embed][history]") {
  constexpr int frames = 3;
  constexpr std::size_t size = 2;
  History<float> history(frames, size);
  for (int t = 0; t < 10; ++t) {
    CHECK(history.ready() == (t >= frames));
    const auto value = static_cast<float>(t);
    history.observe(std::vector<float>{value, -value}.data());
    if (!history.ready()) continue;
    for (int i = 0; i < frames; ++i) {
      CHECK(history.window()[2 * i] == static_cast<float>(t - 2 + i));
      CHECK(history.window()[2 * i + 1] == -static_cast<float>(t - 2 + i));
    }
  }
  history.clear();
  CHECK_FALSE(history.ready());
}

TEST_CASE("History: the frame to come is written outside of the window", "[embed][history]") {
  History<double> history(2, 1);
  for (double t = 0; t < 2; ++t) history.observe(&t);
  for (double t = 2; t < 7; ++t) {
    *history.next() = t;
    CHECK(history.window()[0] == t - 2);
    CHECK(history.window()[1] == t - 1);
    history.advance();
    CHECK(history.window()[0] == t - 1);
    CHECK(history.window()[1] == t);
  }
}

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <fieldstep/io/dataset/mpp_split.hpp>

using namespace fieldstep::io::mpp;

TEST_CASE("windows_of: 16 frames in and one out, fewer where the trajectory is short", "[io][mpp_split]") {
  CHECK(windows_of(101).inputs == 16);
  CHECK(windows_of(101).count == 85);
  CHECK(windows_of(17).count == 1);
  CHECK(windows_of(16).inputs == 15);
  CHECK(windows_of(16).count == 1);
  CHECK(windows_of(21, 4).count == 17);
  CHECK(windows_of(1).count == 0);
}

TEST_CASE("split_samples: two shares rounded up, the rest is for the test", "[io][mpp_split]") {
  CHECK(split_samples(1000) == std::array{Range{0, 800}, Range{800, 900}, Range{900, 1000}});
  CHECK(split_samples(13) == std::array{Range{0, 11}, Range{11, 13}, Range{13, 13}});
  CHECK(split_samples(7) == std::array{Range{0, 6}, Range{6, 7}, Range{7, 7}});
  CHECK(split_samples(1) == std::array{Range{0, 1}, Range{1, 1}, Range{1, 1}});
  CHECK(split_samples(0) == std::array{Range{0, 0}, Range{0, 0}, Range{0, 0}});
}

// The expected numbers are those of the original's loop, run in Python on these sizes.
TEST_CASE("split_files: every share is walked off from the first file", "[io][mpp_split]") {
  constexpr FileWindows four{4, 984};
  const std::array equal{four, four, four, four, four};
  CHECK(split_files(equal) == std::array{Range{0, 15744}, Range{15744, 17712}, Range{17712, 19680}});
  const std::array mixed{FileWindows{4, 984}, FileWindows{3, 84}, FileWindows{4, 984}, FileWindows{4, 10}};
  CHECK(split_files(mixed) == std::array{Range{0, 8134}, Range{8134, 9118}, Range{9118, 10102}});
  const std::array one{FileWindows{1, 5}};
  CHECK(split_files(one) == std::array{Range{0, 0}, Range{0, 0}, Range{0, 0}});
}

#include <fieldstep/ops/patches.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEST_CASE("PatchGrid: from an image to its patches and back", "[ops][patches]") {
  constexpr int samples = 2, channels = 3, patch = 2, rows = 2, columns = 3;
  using Grid = ops::PatchGrid<channels, patch, rows, columns>;
  const std::size_t size = samples * Grid::positions * Grid::patch_size;
  const auto image = drawn<float>("image", size), patches = constant<float>(size), back = constant<float>(size);
  Grid::to_patches(Exec(), samples, static_cast<const float*>(image.data()), patches.data());
  const float* next = patches.data();
  for (int s = 0; s < samples; ++s)
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j)
        for (int c = 0; c < channels; ++c)
          for (int a = 0; a < patch; ++a)
            for (int b = 0; b < patch; ++b) {
              const int line = (s * channels + c) * Grid::height + patch * i + a;
              CHECK(*next++ == image.data()[line * Grid::width + patch * j + b]);
            }
  Grid::to_image(Exec(), samples, static_cast<const float*>(patches.data()), back.data());
  CHECK(same_bits(back, image));
}

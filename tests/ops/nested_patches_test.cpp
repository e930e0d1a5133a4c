#include <fieldstep/ops/nested_patches.hpp>
#include <support/numbers.hpp>
#include <support/threads.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace fieldstep;
using namespace fieldstep::support;

TEMPLATE_TEST_CASE_SIG("NestedPatches: to the image and back, each field with its scale and shift",
                       "[ops][nested_patches][property]", ((int Fields, int Rows, int Columns), Fields, Rows, Columns),
                       (1, 1, 2), (3, 2, 3)) {
  using Patches = ops::NestedPatches<Fields, Rows, Columns>;
  constexpr int batch = 2, frames = 3, samples = batch * frames;
  constexpr std::size_t pixels = 256 * Rows * Columns, size = samples * Fields * pixels;
  const auto image = drawn<double>("image", size), patches = constant<double>(size), back = constant<double>(size);
  const auto scale = drawn<double>("scale", batch * Fields, 1, .5), shift = drawn<double>("shift", batch * Fields);
  const double* none = nullptr;
  Patches::to_patches(Exec(), samples, frames, image.data(), none, patches.data());
  // Position 1 is the right neighbour of position 0: its patch begins four points on.
  for (int c = 0; c < Fields; ++c)
    for (int i = 0; i < 4; ++i)
      for (int j = 0; j < 4; ++j)
        CHECK(patches.data()[Patches::patch_size + (c * 4 + i) * 4 + j] ==
              image.data()[(c * 16 * Rows + i) * 16 * Columns + 4 + j]);
  Patches::to_image(Exec(), samples, frames, patches.data(), none, none, back.data());
  CHECK(same_bits(image, back));

  Numbers changed = in_double(image);
  for (std::size_t n = 0; n < size; ++n) {
    const std::size_t field = n / pixels / Fields / frames * Fields + n / pixels % Fields;
    changed[n] = changed[n] * scale.data()[field] + shift.data()[field];
  }
  Patches::to_image(Exec(), samples, frames, patches.data(), scale.data(), shift.data(), back.data());
  CHECK(relative_l2(in_double(back), changed) < rounding<double>);
  Patches::to_patches(Exec(), samples, frames, image.data(), scale.data(), patches.data());
  Patches::to_image(Exec(), samples, frames, patches.data(), none, shift.data(), back.data());
  CHECK(relative_l2(in_double(back), changed) < rounding<double>);
}

// expect: resampling_matrix: both resolutions must be even
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Odd : models::ScotDefaults {
  static constexpr int embed_dim = 8, patch = 3, window = 3, image_size = 24;
  static constexpr std::array depths{1}, heads{1}, skip_blocks{0};
};
using Net = models::ScOT<Odd, Grid<1, 27, 27, 4>>;
auto prepare(const Net::Weights& w, float* memory) {
  return Net::prepare(Kokkos::DefaultHostExecutionSpace(), w, {}, memory);
}

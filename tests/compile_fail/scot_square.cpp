// expect: ScOT: only square frames can be resampled to image_size
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr int image_size = 128;
};
using Net = models::ScOT<Wrong, Grid<1, 64, 128, 4>>;
constexpr int fields = Net::fields;

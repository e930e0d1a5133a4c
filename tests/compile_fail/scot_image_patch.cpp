// expect: ScOT: height and width must be multiples of patch
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr int image_size = 66;
};
using Net = models::ScOT<Wrong, Grid<1, 64, 64, 4>>;
constexpr int fields = Net::fields;

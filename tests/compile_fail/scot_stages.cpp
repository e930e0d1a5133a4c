// expect: ScOT: depths, heads and skip_blocks need one entry a stage
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr std::array heads{3, 6, 12};
};
using Net = models::ScOT<Wrong, Grid<1, 64, 64, 4>>;
constexpr int fields = Net::fields;

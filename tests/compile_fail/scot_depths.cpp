// expect: ScOT: every stage needs at least one layer
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr std::array depths{4, 4, 4, 0};
};
using Net = models::ScOT<Wrong, Grid<1, 64, 64, 4>>;
constexpr int fields = Net::fields;

// expect: ScOT: no window of 2x2 tokens fits the coarsest stage
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr int window = 1;
};
using Net = models::ScOT<Wrong, Grid<1, 64, 64, 4>>;
constexpr int fields = Net::fields;

// expect: ScOT: learn_residual needs every output as an input
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr bool learn_residual = true;
};
using Net = models::ScOT<Wrong, Grid<1, 64, 64, 3>>;
constexpr int fields = Net::fields;

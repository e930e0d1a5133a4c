// expect: ScOT: no window of 2x2 tokens fits the coarsest stage
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

using Net = models::ScOT<models::PoseidonT, Grid<1, 32, 128, 4>>;
constexpr int fields = Net::fields;

// expect: ScOT: reads one frame
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

using Net = models::ScOT<models::PoseidonT, Grid<2, 64, 64, 4>>;
constexpr int fields = Net::fields;

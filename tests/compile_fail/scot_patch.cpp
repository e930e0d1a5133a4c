// expect: ScOT: height and width must be multiples of patch
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

using Net = models::ScOT<models::PoseidonT, Grid<1, 64, 66, 4>>;
constexpr int fields = Net::fields;

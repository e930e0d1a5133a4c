// expect: AViT: needs at least two patches
#include <fieldstep/models/avit.hpp>

using namespace fieldstep;

using Net = models::AViT<models::AvitTi, Grid<4, 16, 16, 2>>;
constexpr int rows = Net::rows;

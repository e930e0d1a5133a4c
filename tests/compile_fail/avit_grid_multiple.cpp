// expect: AViT: height and width must be multiples of patch, 16
#include <fieldstep/models/avit.hpp>

using namespace fieldstep;

using Net = models::AViT<models::AvitTi, Grid<4, 40, 56, 2>>;
constexpr int rows = Net::rows;

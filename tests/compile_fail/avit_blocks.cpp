// expect: AViT: needs at least one block and one state
#include <fieldstep/models/avit.hpp>

using namespace fieldstep;

struct NoBlocks : models::AvitTi {
  static constexpr int blocks = 0;
};
using Net = models::AViT<NoBlocks, Grid<4, 64, 64, 2>>;
constexpr int rows = Net::rows;

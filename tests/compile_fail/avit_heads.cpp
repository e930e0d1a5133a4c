// expect: AViT: embed_dim must be a multiple of heads
#include <fieldstep/models/avit.hpp>

using namespace fieldstep;

struct FiveHeads : models::AvitTi {
  static constexpr int heads = 5;
};
using Net = models::AViT<FiveHeads, Grid<4, 64, 64, 2>>;
constexpr int rows = Net::rows;

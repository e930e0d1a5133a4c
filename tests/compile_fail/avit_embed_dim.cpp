// expect: AViT: embed_dim must be a multiple of 4
#include <fieldstep/models/avit.hpp>

using namespace fieldstep;

struct OddDim : models::AvitTi {
  static constexpr int embed_dim = 30;
};
using Net = models::AViT<OddDim, Grid<4, 64, 64, 2>>;
constexpr int rows = Net::rows;

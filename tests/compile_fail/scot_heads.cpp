// expect: WindowedCosineAttention: Dim must be a multiple of Heads
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

struct Wrong : models::PoseidonT {
  static constexpr std::array heads{3, 6, 10, 24};
};
constexpr std::size_t size = models::ScOT<Wrong, Grid<1, 64, 64, 4>>::arena_size;

#include <benchmarks/step/matmul.hpp>

namespace fieldstep::benchmarks {

namespace {

/// q, k, v; the output head; the two layers of the MLP.
template <int Dim>
void add_block(const Exec& exec, const std::string& suffix, int tokens) {
  add_product<Dim, 3 * Dim>(exec, suffix, tokens);
  add_product<Dim, Dim>(exec, suffix, tokens);
  add_product<Dim, 4 * Dim>(exec, suffix, tokens);
  add_product<4 * Dim, Dim>(exec, suffix, tokens);
}

}  // namespace

/// The token shapes of AViT-Ti, S and B at 128 x 128: 256 tokens of 4 frames, 1024 of 16.
void add_matmul_avit_cases(const Exec& exec, const std::string& suffix) {
  for (const int tokens : {256, 1024}) {
    add_block<192>(exec, suffix, tokens);
    add_block<384>(exec, suffix, tokens);
    add_block<768>(exec, suffix, tokens);
  }
}

}  // namespace fieldstep::benchmarks

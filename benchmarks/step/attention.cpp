#include <benchmarks/step/cases.hpp>
#include <fieldstep/ops/attention.hpp>

namespace fieldstep::benchmarks {

namespace {

constexpr int heads = 3, dim = 64, width = heads * dim, rows = 8, columns = 8, positions = rows * columns;
constexpr float scale = .125f;

/// AViT-Ti at 128 x 128. The products of scores and values count as work, exponentials do not.
template <int Frames>
void add_frames(const Exec& exec, const std::string& suffix) {
  constexpr std::size_t tokens = std::size_t{Frames} * positions;
  constexpr double bytes = 4. * tokens * 4 * width;
  const auto qkv = some_numbers(tokens * 3 * width), bias = some_numbers(heads * 64 * 64);
  const Arena<float> y(tokens * width);
  const std::string shape = "/" + std::to_string(Frames) + "x8x8x3x64" + suffix;
  const Work time{4. * Frames * tokens * width, bytes}, space{4. * (rows + columns) * tokens * width, bytes};
  add_small_case("temporal_attention" + shape, exec, time, [=] {
    ops::temporal_attention<Frames, heads, dim>(exec, 1, positions, Frames, qkv.data(), bias.data(), scale, y.data());
    exec.fence("temporal_attention");
  });
  add_small_case("axial_attention" + shape, exec, space, [=] {
    ops::axial_attention<rows, columns, heads, dim>(exec, Frames, qkv.data(), bias.data(), bias.data(), scale,
                                                    y.data());
    exec.fence("axial_attention");
  });
  const auto normalised = some_numbers(tokens * 3 * width);
  add_small_case("normalise_heads" + shape, exec, {.bytes = 8. * tokens * width}, [=] {
    ops::normalise_heads<heads, dim>(exec, static_cast<int>(tokens), 3 * width, bias.data(), bias.data(), 1e-5,
                                     normalised.data());
    exec.fence("normalise_heads");
  });
  if constexpr (Frames == 4) {
    add_small_case("temporal_attention_naive" + shape, exec, time, [=] {
      ops::temporal_attention_naive<Frames, heads, dim>(exec, 1, positions, Frames, qkv.data(), bias.data(), scale,
                                                        y.data());
      exec.fence("temporal_attention_naive");
    });
    add_small_case("axial_attention_naive" + shape, exec, space, [=] {
      ops::axial_attention_naive<rows, columns, heads, dim>(exec, Frames, qkv.data(), bias.data(), bias.data(), scale,
                                                            y.data());
      exec.fence("axial_attention_naive");
    });
    add_small_case("normalise_heads_naive" + shape, exec, {.bytes = 8. * tokens * width}, [=] {
      ops::normalise_heads_naive<heads, dim>(exec, static_cast<int>(tokens), 3 * width, bias.data(), bias.data(), 1e-5,
                                             normalised.data());
      exec.fence("normalise_heads_naive");
    });
  }
}

}  // namespace

void add_attention_cases(const Exec& exec, const std::string& suffix) {
  add_frames<4>(exec, suffix);
  add_frames<16>(exec, suffix);
}

}  // namespace fieldstep::benchmarks

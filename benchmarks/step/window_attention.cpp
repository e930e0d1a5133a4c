#include <benchmarks/step/cases.hpp>
#include <fieldstep/ops/depthwise_conv.hpp>
#include <fieldstep/ops/layer_norm_backward.hpp>
#include <fieldstep/ops/window_attention_backward.hpp>

#include <algorithm>

namespace fieldstep::benchmarks {

namespace {

/// One attention of ScOT in a stage of Side x Side tokens, and its gradient; the two products and the gradient's five
/// count as work, exponentials do not.
template <int Side, int Window, int Heads, int Dim>
void add_attention(const Exec& exec, const std::string& suffix, bool naive = false) {
  constexpr std::size_t tokens = std::size_t{Side} * Side, width = Heads * Dim;
  const auto qkv = some_numbers(tokens * 3 * width), pad = some_numbers(3 * width);
  const auto bias = some_numbers(std::size_t{Heads} * (2 * Window - 1) * (2 * Window - 1));
  const Arena<float> scale(Heads), y(tokens * width), dqkv(qkv.size());
  const auto dout = some_numbers(y.size()), dpad = some_numbers(pad.size()), dscale = some_numbers(Heads);
  const auto dbias = some_numbers(bias.size());
  const Arena<float> scratch(ops::window_attention_backward_scratch_size<Side, Side, Window, Heads, Dim>(1));
  std::fill_n(scale.data(), Heads, 10.f);  // at initialisation
  const Work work{4. * tokens * Window * Window * width, 4. * tokens * 4 * width};
  const Work work_backward{2.5 * work.flop, 4. * tokens * 7 * width};
  const std::string shape = std::to_string(Side) + "x" + std::to_string(Side) + "/window:" + std::to_string(Window) +
                            "/heads:" + std::to_string(Heads) + "x" + std::to_string(Dim);
  for (const int shift : {0, Window / 2}) {
    if (shift > 0 && Side == Window) continue;  // one window is never shifted
    const std::string name = shape + (shift > 0 ? "/shifted" : "") + suffix;
    add_small_case("window_attention/" + name, exec, work, [=] {
      ops::window_attention<Side, Side, Window, Heads, Dim>(exec, 1, shift, qkv.data(), pad.data(), scale.data(),
                                                            bias.data(), y.data());
      exec.fence("window_attention");
    });
    add_small_case("window_attention_backward/" + name, exec, work_backward, [=] {
      ops::window_attention_backward<Side, Side, Window, Heads, Dim>(
          exec, 1, shift, qkv.data(), pad.data(), scale.data(), bias.data(), dout.data(), dqkv.data(), dpad.data(),
          dscale.data(), dbias.data(), scratch.data());
      exec.fence("window_attention_backward");
    });
    if (naive) {
      add_small_case("window_attention_naive/" + name, exec, work, [=] {
        ops::window_attention_naive<Side, Side, Window, Heads, Dim>(exec, 1, shift, qkv.data(), pad.data(),
                                                                    scale.data(), bias.data(), y.data());
        exec.fence("window_attention_naive");
      });
      add_small_case("window_attention_backward_naive/" + name, exec, work_backward, [=] {
        ops::window_attention_backward_naive<Side, Side, Window, Heads, Dim>(
            exec, 1, shift, qkv.data(), pad.data(), scale.data(), bias.data(), dout.data(), dqkv.data(), dpad.data(),
            dscale.data(), dbias.data(), scratch.data());
        exec.fence("window_attention_backward_naive");
      });
    }
  }
}

/// The norm at the end of a branch and the convolution of a skip block, and their gradients.
template <int Side, int Dim>
void add_pointwise(const Exec& exec, const std::string& suffix) {
  constexpr int positions = Side * Side;
  constexpr std::size_t count = std::size_t{positions} * Dim;
  const auto x = some_numbers(count), branch = some_numbers(count), affine = some_numbers(Dim);
  const auto weight = some_numbers(std::size_t{Dim} * 49), dweight = some_numbers(weight.size());
  const auto dy = some_numbers(count), dscale = some_numbers(Dim), dshift = some_numbers(Dim);
  const Arena<float> scratch(std::max(ops::layer_norm_backward_scratch_size<Dim>(1, positions),
                                      ops::depthwise_conv_backward_scratch_size<Side, Side, Dim, 7>(1)));
  const std::string shape =
      "/" + std::to_string(Side) + "x" + std::to_string(Side) + "x" + std::to_string(Dim) + suffix;
  add_small_case("add_layer_norm" + shape, exec, {.bytes = 12. * count}, [=] {
    ops::add_layer_norm<Dim>(exec, 1, positions, static_cast<const float*>(x.data()),
                             static_cast<const float*>(branch.data()),
                             ops::ChannelAffine<float>{affine.data(), affine.data()}, 1e-5, x.data());
    exec.fence("add_layer_norm");
  });
  add_small_case("depthwise_conv" + shape, exec, {98. * count, 8. * count}, [=] {
    ops::depthwise_conv<Side, Side, Dim, 7>(exec, 1, branch.data(), weight.data(), affine.data(), x.data());
    exec.fence("depthwise_conv");
  });
  add_small_case("layer_norm_backward" + shape, exec, {.bytes = 12. * count}, [=] {
    ops::layer_norm_backward<Dim>(exec, 1, positions, branch.data(),
                                  ops::ChannelAffine<float>{affine.data(), affine.data()}, 1e-5, dy.data(), x.data(),
                                  dscale.data(), dshift.data(), scratch.data());
    exec.fence("layer_norm_backward");
  });
  add_small_case("depthwise_conv_backward" + shape, exec, {196. * count, 20. * count}, [=] {
    ops::depthwise_conv_backward<Side, Side, Dim, 7>(exec, 1, branch.data(), weight.data(), dy.data(),
                                                     static_cast<const float*>(x.data()), x.data(), dweight.data(),
                                                     dscale.data(), scratch.data());
    exec.fence("depthwise_conv_backward");
  });
}

}  // namespace

/// The stages of ScOT-T and -B at 128 x 128.
void add_window_attention_cases(const Exec& exec, const std::string& suffix) {
  add_attention<32, 16, 3, 16>(exec, suffix, true);
  add_attention<16, 16, 6, 16>(exec, suffix);
  add_attention<8, 8, 12, 16>(exec, suffix);
  add_attention<4, 4, 24, 16>(exec, suffix);
  add_attention<32, 16, 3, 32>(exec, suffix);
  add_attention<16, 16, 6, 32>(exec, suffix);
  add_pointwise<32, 48>(exec, suffix);
  add_pointwise<16, 96>(exec, suffix);
  add_pointwise<8, 192>(exec, suffix);
}

}  // namespace fieldstep::benchmarks

#include <benchmarks/step/cases.hpp>
#include <fieldstep/ops/standardise.hpp>
#include <fieldstep/ops/statistics.hpp>

namespace fieldstep::benchmarks {

namespace {

/// The norms of AViT-Ti: 4 frames of 64 tokens.
void add_norms(const Exec& exec, const std::string& suffix) {
  constexpr int samples = 4, positions = 64, channels = 192;
  constexpr std::size_t count = std::size_t{samples} * positions * channels;
  const auto x = some_numbers(count), y = some_numbers(count), scale = some_numbers(samples * channels);
  const Arena<float> mean(samples * channels), squares(samples * channels);
  add_small_case("channel_statistics/4x64x192" + suffix, exec, {.bytes = 4. * count}, [=] {
    ops::channel_statistics<channels>(exec, samples, positions, x.data(), positions * channels,
                                      [=]<int L>(int sample, int c, ops::vec<float, L> m, ops::vec<float, L> s) {
                                        ops::store<L>(mean.data() + sample * channels + c, m);
                                        ops::store<L>(squares.data() + sample * channels + c, s);
                                      });
    exec.fence("channel_statistics");
  });
  add_small_case("channel_statistics_naive/4x64x192" + suffix, exec, {.bytes = 4. * count}, [=] {
    ops::channel_statistics_naive(exec, samples, positions, channels, x.data(), positions * channels, mean.data(),
                                  squares.data());
    exec.fence("channel_statistics_naive");
  });
  const float* none = nullptr;
  add_small_case("scale_shift/4x64x192" + suffix, exec, {.bytes = 8. * count}, [=] {
    ops::scale_shift<channels>(exec, samples, positions, x.data(), scale.data(), none, y.data());
    exec.fence("scale_shift");
  });
  add_small_case("scale_shift_naive/4x64x192" + suffix, exec, {.bytes = 8. * count}, [=] {
    ops::scale_shift_naive(exec, samples, positions, channels, x.data(), scale.data(), none, y.data());
    exec.fence("scale_shift_naive");
  });
}

/// The hidden layer of AViT-Ti's MLP.
void add_gelu(const Exec& exec, const std::string& suffix) {
  constexpr int rows = 256, width = 768, L = ops::lanes<float>;
  constexpr double bytes = 8. * rows * width;
  const auto x = some_numbers(std::size_t{rows} * width);
  const Arena<float> y(x.size());
  add_small_case("gelu/256x768" + suffix, exec, {.bytes = bytes}, [=] {
    for_ranges(exec, rows, [=](int begin, int end) {
      for (int i = begin * width; i < end * width; i += L)
        ops::store<L>(y.data() + i, ops::gelu<float, L>(ops::load<L>(x.data() + i)));
    });
    exec.fence("gelu");
  });
  add_small_case("gelu_naive/256x768" + suffix, exec, {.bytes = bytes}, [=] {
    Kokkos::parallel_for(
        Kokkos::RangePolicy<Exec>(exec, 0, rows * width),
        KOKKOS_LAMBDA(int i) { y.data()[i] = ops::gelu_naive(x.data()[i]); });
    exec.fence("gelu_naive");
  });
}

/// The input of AViT: 4 frames of 3 fields, 128 x 128.
void add_standardise(const Exec& exec, const std::string& suffix) {
  constexpr int frames = 4, fields = 3, pixels = 128 * 128;
  constexpr double bytes = 4. * frames * fields * pixels;
  const auto x = some_numbers(std::size_t{frames} * fields * pixels);
  const Arena<float> y(x.size()), planes(2 * frames * fields), mean(fields), deviation(fields);
  add_small_case("field_statistics/4x3x128x128" + suffix, exec, {.bytes = bytes}, [=] {
    ops::field_statistics(exec, 1, frames, fields, pixels, 1e-7, x.data(), planes.data(), mean.data(),
                          deviation.data());
    exec.fence("field_statistics");
  });
  add_small_case("field_statistics_naive/4x3x128x128" + suffix, exec, {.bytes = bytes}, [=] {
    ops::field_statistics_naive(exec, 1, frames, fields, pixels, 1e-7, x.data(), mean.data(), deviation.data());
    exec.fence("field_statistics_naive");
  });
  add_small_case("standardise/4x3x128x128" + suffix, exec, {.bytes = 2 * bytes}, [=] {
    ops::standardise(exec, 1, frames, fields, pixels, x.data(), mean.data(), deviation.data(), y.data());
    exec.fence("standardise");
  });
}

}  // namespace

void add_pointwise_cases(const Exec& exec, const std::string& suffix) {
  add_norms(exec, suffix);
  add_gelu(exec, suffix);
  add_standardise(exec, suffix);
}

}  // namespace fieldstep::benchmarks

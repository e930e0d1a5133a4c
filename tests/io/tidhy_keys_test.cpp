#include <fieldstep/io/tidhy_keys.hpp>
#include <fieldstep/models/tidhy.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace fieldstep;

namespace {

struct Small : models::TidhyDefaults {
  static constexpr int r_dim = 4, r2_dim = 3, mix_dim = 2, input_dim = 5, hyper_hid_dim = 7;
};
struct Everything : Small {
  static constexpr bool nonlin_decoder = true, low_rank_temp = true, dyn_bias = true, use_r2_decoder = true;
};

}  // namespace

TEMPLATE_TEST_CASE("name_tidhy_as_nnx: names and axes of the original become ours", "[io][tidhy]", Small, Everything) {
  const ParamTable table = models::Tidhy<TestType>::table();
  io::TensorFile file;
  for (const ParamEntry& entry : table) {
    const io::TidhyKey key = io::tidhy_torch_key(entry.path.view());
    io::Extents shape(entry.shape().begin(), entry.shape().end());
    if (key.transposed) std::swap(shape[0], shape[1]);
    file.tensors.push_back({.name = key.name, .shape = shape, .stride = io::row_major(shape)});
  }
  const std::size_t first_of_decoder = TestType::dyn_bias ? 2 : 1;
  CHECK(file.tensors[first_of_decoder].name == "spatial_decoder.0.weight");
  io::name_tidhy_as_nnx(file);
  for (std::size_t i = 0; i < table.size(); ++i) {
    const io::StoredTensor& tensor = file.tensors[i];
    CHECK(tensor.name == table[i].path.view());
    CHECK(tensor.shape == io::Extents(table[i].shape().begin(), table[i].shape().end()));
    CHECK(tensor.contiguous() == !tensor.name.ends_with("kernel"));
  }
  const std::vector<io::StoredTensor> before = file.tensors;
  io::name_tidhy_as_nnx(file);  // has our names already
  for (std::size_t i = 0; i < table.size(); ++i) CHECK(file.tensors[i].name == before[i].name);
}

TEST_CASE("name_tidhy_as_nnx: files of other models stay as they are", "[io][tidhy]") {
  io::TensorFile file;
  file.tensors.push_back({.name = "encoder.0.weight", .shape = {2, 3}, .stride = {3, 1}});
  io::name_tidhy_as_nnx(file);
  CHECK(file.tensors[0].name == "encoder.0.weight");
  CHECK(file.tensors[0].shape == io::Extents{2, 3});
}

#include <fieldstep/io/npy.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Numbers = std::vector<float>;

TEST_CASE("npy: what is written is read, and the numbers begin at a multiple of 64 bytes", "[io][npy]") {
  const ScratchFolder scratch;
  const Numbers values{1, 2, 3, 4, 5, 6};
  for (const io::Extents& shape : {io::Extents{6}, io::Extents{2, 3}, io::Extents{1, 1, 6}}) {
    io::write_npy(scratch / "a.npy", values, shape);
    const io::TensorFile file = io::read_npy(scratch / "a.npy");
    CHECK(file.tensors[0].shape == shape);
    CHECK(io::numbers<float>(file.tensors[0]) == values);
    CHECK((file.tensors[0].data - file.files[0].bytes().data()) % 64 == 0);
  }
  io::write_npy(scratch / "a.npy", Numbers{5}, {});
  CHECK(io::read_npy(scratch / "a.npy").tensors[0].shape.empty());
  io::write_npy(scratch / "a.npy", {}, {0, 3});
  CHECK(io::numbers<float>(io::read_npy(scratch / "a.npy").tensors[0]).empty());
  CHECK_THROWS_AS(io::write_npy(scratch / "b.npy", values, {7}), Error);
  CHECK(scratch.size() == 1);
}

TEST_CASE("npy: orders, versions, key order and numbers of other types", "[io][npy]") {
  const auto read = [](std::string_view header, const std::string& data, int version = 1) {
    const std::string bytes = npy(header, data, version);
    return io::numbers<float>(io::parse_npy(io::as_bytes(bytes)));
  };
  CHECK(read("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", floats({1, 4, 2, 5, 3, 6})) ==
        Numbers{1, 2, 3, 4, 5, 6});
  CHECK(read("{'shape':(2,),'fortran_order':False,'descr':\">i2\"}", raw({0, 1, 0xff, 0xff})) == Numbers{1, -1});
  CHECK(read("{'descr': '|b1', 'fortran_order': False, 'shape': (2L,), }\n", raw({0, 1}), 2) == Numbers{0, 1});
  CHECK(read(" { 'descr' : '=f8' , 'fortran_order' : False , 'shape' : ( ) } \n", little(0x4000000000000000, 8), 3) ==
        Numbers{2});
}

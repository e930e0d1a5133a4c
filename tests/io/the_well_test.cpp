#include <support/hdf5_writer.hpp>
#include <support/samples.hpp>
#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/io/dataset/dataset.hpp>
#include <string>
#include <vector>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using fieldstep::support::Hdf5Writer;
using fieldstep::support::ScratchFolder;

namespace {

using Names = std::vector<std::string>;
const std::filesystem::path shear = fieldstep::support::sample("the_well/shear_flow_Reynolds_1e3_Schmidt_1e0.hdf5");

/// A file of the Well, attribute by attribute.
class WellWriter {
 public:
  explicit WellWriter(const std::filesystem::path& path) : file_(path) {}

  void texts(const char* object, const char* name, const Names& list) {
    std::vector<const char*> pointers;
    for (const std::string& text : list) pointers.push_back(text.c_str());
    const hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    attribute(object, name, list.empty() ? H5T_NATIVE_DOUBLE : type, list.size(), pointers.data());
    H5Tclose(type);
  }
  void flags(const char* object, const char* name, const std::vector<signed char>& list) {
    const hid_t type = H5Tenum_create(H5T_NATIVE_SCHAR);  // h5py's bool
    const signed char no = 0, yes = 1;
    H5Tenum_insert(type, "FALSE", &no);
    H5Tenum_insert(type, "TRUE", &yes);
    attribute(object, name, type, list.size(), list.data());
    H5Tclose(type);
  }
  void field(const char* path, const Hdf5Writer::Shape& shape, bool per_sample, bool per_frame,
             const std::vector<signed char>& varies) {
    file_.counted(path, shape);
    flags(path, "sample_varying", {per_sample});
    flags(path, "time_varying", {per_frame});
    flags(path, "dim_varying", varies);
  }
  Hdf5Writer& file() { return file_; }

 private:
  void attribute(const char* object, const char* name, hid_t type, hsize_t count, const void* data) {
    const hid_t owner = H5Oopen(file_.file(), object, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    const hid_t made = H5Acreate2(owner, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (count > 0) H5Awrite(made, type, data);
    H5Aclose(made);
    H5Sclose(space);
    H5Oclose(owner);
  }
  Hdf5Writer file_;
};

/// Two samples of three frames of 2 x 4 points: a scalar, a vector, a tensor of one sample, and what does not change.
void write_well(const std::filesystem::path& path, hsize_t dims = 2, hsize_t last = 4) {
  WellWriter well(path);
  well.file().counted("dimensions/x", {2});
  well.file().counted("dimensions/y", {4});
  well.texts("dimensions", "spatial_dims", dims == 2 ? Names{"x", "y"} : Names{"x", "y", "z"});
  well.field("t0_fields/b", {2, 3, 2, last}, true, true, {1, 1});
  well.field("t0_fields/a", {4}, false, false, {0, 1});
  well.texts("t0_fields", "field_names", {"b", "a"});
  well.field("t1_fields/v", {2, 3, 2, 4, 2}, true, true, {1, 1});
  well.texts("t1_fields", "field_names", {"v"});
  well.field("t2_fields/s", {3, 2, 2, 2}, false, true, {1, 0});
  well.texts("t2_fields", "field_names", {"s"});
  well.file().group("boundary_conditions");
  well.file().group("boundary_conditions/y_open");
  well.texts("boundary_conditions/y_open", "associated_dims", {"y"});
  well.texts("boundary_conditions/y_open", "bc_type", {"OPEN"});
  well.file().group("boundary_conditions/x_periodic");
  well.texts("boundary_conditions/x_periodic", "associated_dims", {"x"});
  well.texts("boundary_conditions/x_periodic", "bc_type", {"periodic"});
}

std::string complaint(const std::filesystem::path& path) {
  try {
    io::open_dataset(path).read_frames(0, 0, 1);
  } catch (const Error& error) {
    return error.what();
  }
  return "read without complaint";
}

}  // namespace

TEST_CASE("TheWell: the sample is told by its layout, an oblong grid", "[io][the_well][golden]") {
  const io::Dataset dataset = io::open_dataset(shear);
  const io::DatasetInfo& info = dataset.info();
  CHECK(info.name == "the Well shear_flow");
  CHECK(info.fields == Names{"tracer", "pressure", "velocity_x", "velocity_y"});
  CHECK(info.samples == 1);
  CHECK(info.frames == 11);
  CHECK(info.height == 64);
  CHECK(info.width == 128);
  CHECK(info.boundaries == std::array{1, 1});
  CHECK_THAT(info.time(10), WithinAbs(1, 1e-6));
  REQUIRE(info.domain);
  CHECK_THAT(info.domain->dy, WithinAbs(2.0 / 128, 1e-7));

  constexpr std::size_t points = 64 * 128;
  const std::vector<float> frame = dataset.read_frames(0, 10, 1);
  const io::Hdf5File file(shear);
  const std::vector<float> tracer = file.dataset("t0_fields/tracer").read();
  const std::vector<float> velocity = file.dataset("t1_fields/velocity").read();
  REQUIRE(frame.size() == 4 * points);
  bool equal = true;
  for (std::size_t p = 0; p < points; ++p)
    equal &= frame[p] == tracer[10 * points + p] && frame[2 * points + p] == velocity[(10 * points + p) * 2] &&
             frame[3 * points + p] == velocity[(10 * points + p) * 2 + 1];
  CHECK(equal);
  CHECK(dataset.read_input(0, 10) == frame);
}

TEST_CASE("TheWell: fields of all orders, what lacks an axis is repeated along it", "[io][the_well]") {
  const ScratchFolder folder;
  write_well(folder / "w.hdf5");
  const io::Dataset dataset = io::open_dataset(folder / "w.hdf5");
  const io::DatasetInfo& info = dataset.info();
  CHECK(info.fields == Names{"b", "v_x", "v_y", "s_xx", "s_xy", "s_yx", "s_yy", "a"});
  CHECK(info.samples == 2);
  CHECK(info.frames == 3);
  CHECK(info.boundaries == std::array{0, 1});  // of width, of height
  const std::vector<float> frames = dataset.read_frames(1, 1, 2);
  REQUIRE(frames.size() == 2 * 8 * 8);
  const auto plane = [&](std::size_t t, std::size_t field) {
    return std::vector<float>(frames.begin() + static_cast<std::ptrdiff_t>((t * 8 + field) * 8),
                              frames.begin() + static_cast<std::ptrdiff_t>((t * 8 + field) * 8 + 8));
  };
  using Values = std::vector<float>;
  CHECK(plane(0, 0) == Values{32, 33, 34, 35, 36, 37, 38, 39});
  CHECK(plane(1, 0).front() == 40);
  CHECK(plane(0, 2) == Values{65, 67, 69, 71, 73, 75, 77, 79});
  CHECK(plane(0, 4) == Values{9, 9, 9, 9, 13, 13, 13, 13});  // frame 1: 8 + component 1
  CHECK(plane(1, 6) == Values{19, 19, 19, 19, 23, 23, 23, 23});
  CHECK(plane(0, 7) == Values{0, 1, 2, 3, 0, 1, 2, 3});
  CHECK(plane(1, 7) == plane(0, 7));
}

TEST_CASE("TheWell: other layouts get a sentence", "[io][the_well][hostile]") {
  const ScratchFolder folder;
  const auto path = folder / "w.hdf5";
  write_well(path, 3);
  CHECK_THAT(complaint(path), ContainsSubstring("a 3-D set of the Well"));
  write_well(path, 2, 5);
  CHECK_THAT(complaint(path), ContainsSubstring("t0_fields/b has shape (2, 3, 2, 5), wanted (2, 3, 2, 4)"));
  {
    WellWriter well(path);
    well.file().group("dimensions");
    well.file().group("t0_fields");
  }
  CHECK_THAT(complaint(path), ContainsSubstring("dimensions has no list spatial_dims"));
  {
    WellWriter well(path);
    well.file().counted("dimensions/x", {2});
    well.file().counted("dimensions/y", {4});
    well.texts("dimensions", "spatial_dims", {"x", "y"});
    well.file().group("t0_fields");
  }
  CHECK_THAT(complaint(path), ContainsSubstring("t0_fields has no list field_names"));
  {
    WellWriter well(path);
    well.file().counted("dimensions/x", {2});
    well.file().counted("dimensions/y", {4});
    well.texts("dimensions", "spatial_dims", {"x", "y"});
    well.file().group("t0_fields");
    well.texts("t0_fields", "field_names", {});  // of no type in particular
  }
  CHECK_THAT(complaint(path), ContainsSubstring("holds no frames"));
  {
    WellWriter well(path);
    well.file().counted("dimensions/x", {2});
    well.file().counted("dimensions/y", {4});
    well.texts("dimensions", "spatial_dims", {"x", "y"});
    well.file().group("t0_fields");
    well.texts("t0_fields", "field_names", {"absent"});
  }
  CHECK_THAT(complaint(path), ContainsSubstring("no absent in /t0_fields"));
}

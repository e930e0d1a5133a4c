#include <fieldstep/io/recording.hpp>
#include <support/scratch_folder.hpp>
#include <support/weight_files.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using namespace fieldstep;
using namespace fieldstep::support;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using io::Recording;
using Numbers = std::vector<float>;

namespace {

auto shape(const Recording& read) { return std::tuple(read.sequences, read.time, read.channels); }

/// The reason why a file of these bytes is refused, with `file: ` in front.
std::string refusal(const std::string& name, const std::string& bytes) {
  const ScratchFolder folder;
  std::ofstream(folder / name, std::ios::binary) << bytes;
  try {
    io::read_recording(folder / name);
  } catch (const Error& error) {
    const std::string text = error.what(), path = (folder / name).string();
    return text.starts_with(path) ? name + text.substr(path.size()) : "without its path: " + text;
  }
  return "accepted";
}

std::string csv_refusal(const std::string& text) { return refusal("a.csv", text); }

std::string npy_of(std::string_view descr, std::string_view extents, const std::string& data) {
  return npy(
      "{'descr': '" + std::string(descr) + "', 'fortran_order': False, 'shape': (" + std::string(extents) + "), }\n",
      data);
}

Recording counted(int sequences, int time, int channels) {
  Recording whole{.sequences = sequences, .time = time, .channels = channels, .values = {}};
  whole.values.resize(static_cast<std::size_t>(sequences * time * channels));
  std::iota(whole.values.begin(), whole.values.end(), 0.0f);
  return whole;
}

}  // namespace

TEST_CASE("read_recording: .npy of two or three axes and any real type", "[io][recording]") {
  const ScratchFolder folder;
  const Numbers six{1, 2, 3, 4, 5, 6};
  io::write_npy(folder / "a.npy", six, {3, 2});
  Recording read = io::read_recording(folder / "a.npy");
  CHECK(shape(read) == std::tuple(1, 3, 2));
  CHECK(read.values == six);
  io::write_npy(folder / "a.npy", six, {3, 1, 2});
  CHECK(shape(io::read_recording(folder / "a.npy")) == std::tuple(3, 1, 2));

  const auto write = [&](const std::string& bytes) { std::ofstream(folder / "b.npy", std::ios::binary) << bytes; };
  write(npy_of("<i2", "2, 1", raw({1, 0, 0xff, 0xff})));
  CHECK(io::read_recording(folder / "b.npy").values == Numbers{1, -1});
  write(npy_of("<f8", "1, 1", little(0x3fb999999999999a, 8)));
  CHECK(io::read_recording(folder / "b.npy").values == Numbers{0.1f});
  write(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }\n", floats({1, 4, 2, 5, 3, 6})));
  CHECK(io::read_recording(folder / "b.npy").values == six);
}

TEST_CASE("read_recording: .npy that is no recording", "[io][recording][hostile]") {
  const std::string wanted = ", wanted (time, channels) or (sequences, time, channels), none of them empty";
  CHECK(refusal("a.npy", npy_of("<f4", "2,", floats({1, 2}))) == "a.npy: holds an array of shape (2)" + wanted);
  CHECK(refusal("a.npy", npy_of("<f4", "1, 1, 1, 1", floats({1}))) ==
        "a.npy: holds an array of shape (1, 1, 1, 1)" + wanted);
  CHECK(refusal("a.npy", npy_of("<f4", "4, 0", "")) == "a.npy: holds an array of shape (4, 0)" + wanted);
  CHECK(refusal("a.npy", npy_of("<f4", "0, 4294967296", "")) ==
        "a.npy: holds an array of shape (0, 4294967296)" + wanted);
  CHECK(refusal("a.npy", npy_of("<c8", "1, 1", floats({1, 2}))) ==
        "a.npy: 'array': found complex64 numbers, wanted real ones");
  const std::string finite = " (counted from 0) is ", single = ", wanted numbers that are finite in single precision";
  CHECK(refusal("a.npy", npy_of("<f4", "2, 2, 2", floats({1, 2, 3, 4, 5, 6, NAN, 8}))) ==
        "a.npy: sequence 1, time 1, channel 0" + finite + "nan" + single);
  CHECK(refusal("a.npy", npy_of("<f4", "2, 2", floats({1, 2, 3, -INFINITY}))) ==
        "a.npy: sequence 0, time 1, channel 1" + finite + "-inf" + single);
  CHECK(refusal("a.npy", npy_of("<f8", "1, 1", little(0x7e37e43c8800759c, 8))) ==  // 1e300
        "a.npy: sequence 0, time 0, channel 0" + finite + "inf" + single);
  CHECK(refusal("a.npy", "1,2\n") == "a.npy: magic at byte 0 needs 6 bytes, the file has 4 more");
  CHECK(refusal("a.mat", "") == "a.mat: wanted a recording in .npy, .csv, .tsv, .txt or, with HDF5, .h5 or .hdf5");
  CHECK_THROWS_MATCHES(io::read_recording("/none/a.csv"), Error,
                       MessageMatches(ContainsSubstring("/none/a.csv: cannot be opened")));
}

TEST_CASE("read_recording: tables as programs write them", "[io][recording]") {
  const Numbers four{1, -2.5f, 3e3f, 0.1f};
  for (const std::string_view text : {"1,-2.5\n3e3,.1\n", "1,-2.5\n3e3,.1",  // with and without an end of the last line
                                      "\xef\xbb\xbf"
                                      "x,y\r\n1, -2.5\r\n3E+3 ,+.1\r\n\r\n",                     // of a spreadsheet
                                      "\"speed (m/s)\";\"b\"\n1;-2.5\n3000;0.1\n",               // names in quotes
                                      "\tx\ty\n1\t-2.5\n3000\t 0.1\n",                           // tabs
                                      "# x y\n   1.000e+00  -2.500e+00\n 3.0e+03\t1.0e-01  \n",  // numpy.savetxt
                                      "two words\n1,-2.5\n\n# a remark\n\n3000,0.1\n\n\n",       // two sequences
                                      "\n\n1,-2.5\n# a remark\n3000,0.1\n"}) {
    CAPTURE(text);
    const Recording read = io::parse_csv_recording(text);
    CHECK(read.values == four);
    CHECK(shape(read) == (text.starts_with("two") ? std::tuple(2, 1, 2) : std::tuple(1, 2, 2)));
  }
  CHECK(shape(io::parse_csv_recording("7")) == std::tuple(1, 1, 1));
  CHECK(shape(io::parse_csv_recording("x\n1\n2\n\n3\n4\n")) == std::tuple(2, 2, 1));
  CHECK(io::parse_csv_recording("1e-50,16777217,0.1000000014901161193847656251").values == Numbers{0, 16777216, 0.1f});

  const ScratchFolder folder;
  for (const char* name : {"a.csv", "a.tsv", "a.txt"}) {
    std::ofstream(folder / name) << "1 2\n3 4\n5 6\n";
    CHECK(shape(io::read_recording(folder / name)) == std::tuple(1, 3, 2));
  }
}

TEST_CASE("read_recording: tables that are none", "[io][recording][hostile]") {
  CHECK(csv_refusal("") == "a.csv: holds no rows of numbers");
  CHECK(csv_refusal("# nothing\nx,y\n\n") == "a.csv: holds no rows of numbers");
  CHECK(csv_refusal("1,2\n3,x\n") == "a.csv: line 2, column 2: 'x' is no number");
  CHECK(csv_refusal("x,y\n\n1,2,\n") == "a.csv: line 3, column 3: '' is no number");
  CHECK(csv_refusal("x,y\nv,w\n1,2\n") == "a.csv: line 2, column 1: 'v' is no number");
  CHECK(csv_refusal("time,1\n2,3\n") == "a.csv: line 1, column 1: 'time' is no number");
  CHECK(csv_refusal("x;y\n1,2;3,4\n") == "a.csv: line 2, column 1: '1,2' is no number");
  CHECK(csv_refusal("1,2\n3 4\n") == "a.csv: line 2, column 1: '3 4' is no number");
  CHECK(csv_refusal("1\t2\n\t\n") == "a.csv: line 2, column 1: '' is no number");
  CHECK(csv_refusal("1,2\n0x10,4\n") == "a.csv: line 2, column 1: '0x10' is no number");
  CHECK(csv_refusal("1,2\n+-1,4\n") == "a.csv: line 2, column 1: '+-1' is no number");
  CHECK(csv_refusal("1,1e999\n") == "a.csv: line 1, column 2: '1e999' is no number");
  CHECK(csv_refusal("1,2\n3\n") == "a.csv: line 2 has 1 columns, the rows before it have 2");
  CHECK(csv_refusal("1,2\n\n3,4,5\n") == "a.csv: line 3 has 3 columns, the rows before it have 2");
  CHECK(csv_refusal("1\n2\n\n3\n\n4\n5\n") ==
        "a.csv: the sequence that ends at line 5 has 1 rows, those before it have 2");
  CHECK(csv_refusal("1\n2\n\n3\n4\n5") == "a.csv: the sequence that ends at line 6 has 3 rows, those before it have 2");
  CHECK(csv_refusal("1,2\n3,nan\n").starts_with("a.csv: sequence 0, time 1, channel 1 (counted from 0) is nan"));
  CHECK(csv_refusal("1,2\n\n3,1e39\n").starts_with("a.csv: sequence 1, time 0, channel 1 (counted from 0) is inf"));
  CHECK(csv_refusal("1\n" + std::string((1 << 24) + 1, ' ')) ==
        "a.csv: line 2 has 16777217 bytes, at most 16777216 are read");
  CHECK(csv_refusal(std::string("1,2\0\n", 5)) == "a.csv: line 1, column 2: '2?' is no number");

  const ScratchFolder folder;  // a hole of 2 GiB takes no space
  std::ofstream(folder / "large.csv") << "1\n";
  std::filesystem::resize_file(folder / "large.csv", std::uintmax_t{1} << 31);
  CHECK_THROWS_MATCHES(io::read_recording(folder / "large.csv"), Error,
                       MessageMatches(ContainsSubstring("has 2147483648 bytes, at most 2147483647 are read as text")));
}

TEST_CASE("parse_csv_recording: whatever the bytes, a recording or an error", "[io][recording][hostile]") {
  std::mt19937 random(7);
  const std::string alphabet = "0123456789.,;\t \n\n\r#+-eEinfax\"\xef";
  int accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 40, ' ');
    for (char& c : text) c = i % 4 == 0 ? static_cast<char>(random()) : alphabet[random() % (1 + i % alphabet.size())];
    try {
      const Recording read = io::parse_csv_recording(text);
      CHECK(read.values.size() == static_cast<std::size_t>(read.sequences * read.time * read.channels));
      CHECK(!read.values.empty());
      ++accepted;
    } catch (const Error& error) {
      CHECK(std::string_view(error.what()).size() < 200);
    }
  }
  CHECK(accepted > 100);
  CHECK(accepted < 19'900);
}

TEST_CASE("cut: windows of every sequence, overlapping and apart", "[io][recording]") {
  const Recording whole = counted(2, 5, 2);
  const Recording windows = io::cut(whole, 3, 2);
  CHECK(shape(windows) == std::tuple(4, 3, 2));
  CHECK(windows.values == Numbers{0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 14, 15, 16, 17, 18, 19});
  CHECK(io::cut(whole, 5, 1).values == whole.values);
  CHECK(io::cut(whole, 2, 4).values == Numbers{0, 1, 2, 3, 10, 11, 12, 13});
  CHECK(shape(io::cut(whole, 1, 1)) == std::tuple(10, 1, 2));

  CHECK_THROWS_MATCHES(io::cut(whole, 6, 1), Error,
                       MessageMatches(ContainsSubstring("cut: found a window of 6 times, the recording has 5")));
  CHECK_THROWS_MATCHES(io::cut(whole, 0, 1), Error,
                       MessageMatches(ContainsSubstring("cut: found window 0 and stride 1, wanted at least 1")));
  CHECK_THROWS_AS(io::cut(whole, 2, 0), Error);
}

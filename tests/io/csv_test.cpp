#include <support/scratch_folder.hpp>

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fieldstep/io/csv.hpp>
#include <fstream>
#include <string>
#include <vector>

using namespace fieldstep::io;

TEST_CASE("write_csv: names quoted where needed, numbers that read back equal", "[io][csv]") {
  const fieldstep::support::ScratchFolder folder;
  const std::vector<Column> columns{{"step", {1, 2, 3}}, {"a, \"b\"", {0.1, 1.0 / 3, NAN}}, {"short", {-1e-300}}};
  write_csv(folder / "table.csv", columns);
  std::ifstream stream(folder / "table.csv");
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  CHECK(text == "step,\"a, \"\"b\"\"\",short\n1,0.1,-1e-300\n2,0.3333333333333333,\n3,nan,\n");
}

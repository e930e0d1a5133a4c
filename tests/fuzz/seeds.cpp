// Writes the small right files of support/weight_files.hpp as first inputs: fuzz_seeds FOLDER makes
// FOLDER/<target>/tiny.
#include <support/weight_files.hpp>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

int main(int argc, char* argv[]) {
  using namespace fieldstep::support;
  if (argc != 2) return 2;
  const std::map<std::string, std::string> seeds{{"safetensors", tiny_safetensors()},
                                                 {"flax_msgpack", tiny_flax()},
                                                 {"torch_zip", tiny_torch_zip()},
                                                 {"torch_legacy", tiny_torch_legacy()},
                                                 {"npy", tiny_npy()},
                                                 {"pickle", tiny_pickle() + tiny_data},
                                                 {"csv_recording", "# remark\nx,y\n1,2.5\n\n3,4e5\n"}};
  for (const auto& [target, bytes] : seeds)
    for (const std::string& folder : {target, std::string("weight_file")}) {
      const std::filesystem::path path = std::filesystem::path(argv[1]) / folder;
      std::filesystem::create_directories(path);
      std::ofstream(path / target, std::ios::binary) << bytes;
    }
}

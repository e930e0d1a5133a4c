#include <fieldstep/core/error.hpp>
#include <fieldstep/io/scot_config.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto config = fieldstep::io::parse_scot_config({reinterpret_cast<const char*>(data), size});
    fieldstep::io::recognise(config).text();
  } catch (const fieldstep::Error&) {
  }
  return 0;
}

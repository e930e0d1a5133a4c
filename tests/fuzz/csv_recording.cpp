#include <fieldstep/io/recording.hpp>

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fieldstep;
  try {
    io::parse_csv_recording(io::as_text(io::Bytes(reinterpret_cast<const std::byte*>(data), size)));
  } catch (const Error&) {
  }
  return 0;
}

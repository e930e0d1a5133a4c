// A checkpoint's container hides its pickle from a fuzzer's small changes: here the bytes are the pickle itself.
#include <fieldstep/io/torch_checkpoint.hpp>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fieldstep::fuzz::read_all(data, size, [](fieldstep::io::Bytes bytes) {
    namespace io = fieldstep::io;
    io::ByteReader reader(bytes);
    const io::pickle::Pickle pickle = io::pickle::Machine::run(reader);
    const io::Bytes rest = reader.take(reader.left(), "storages");
    for (const io::pickle::Storage& storage : pickle.storages)
      if (io::detail::storage_size(storage) > rest.size()) fieldstep::fail("storage beyond the input");
    return io::detail::state_dict(pickle, io::detail::StorageBytes(pickle.storages.size(), rest), bytes.size());
  });
}

#pragma once
#include <fieldstep/io/bytes.hpp>

#include <string>

namespace fieldstep::cli {

/// SHA-256 (FIPS 180-4) in hexadecimal digits.
std::string sha256(io::Bytes bytes);

}  // namespace fieldstep::cli

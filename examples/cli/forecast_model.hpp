#pragma once
#include <examples/cli/models.hpp>
#include <fieldstep/io/dataset/description.hpp>

#include <cstddef>
#include <string>

namespace fieldstep::cli {

/// What a forecast is made of.
struct ForecastWish {
  std::string weights, data;  ///< files
  std::string model{};        ///< empty: the one that the weights belong to
  int frames = 0;             ///< that it reads; 0: the most that are compiled in
  std::size_t start = 0;      ///< first frame of the file that it may read
};

/// The compiled-in model for these weights and this file: the one that reads the most frames the file can give.
ModelEntry model_for(const ForecastWish& wish, const Network& network, const io::DatasetInfo& info);

}  // namespace fieldstep::cli

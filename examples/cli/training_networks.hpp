#pragma once
#include <examples/cli/training_data.hpp>
#include <fieldstep/embed/trainable_model.hpp>

#include <vector>

namespace fieldstep::cli {

/// The networks of all sets of a run, which train the same parameters: a train::TrainedNetwork.
class TrainingNetworks {
 public:
  /// Throws Error where the sets' networks are not of the same parameters.
  TrainingNetworks(const TrainingData& data, int batch, Activations activations);

  ParamTable table() const { return data_.set(0).entry.table; }
  float* weights() { return models_.front().weights(); }
  float* gradient() { return models_.front().gradient(); }
  void clear_gradient() { models_.front().clear_gradient(); }

  void condition(int set) {
    current_ = &models_[model_of_[static_cast<std::size_t>(set)]];
    current_->condition(data_.set(set).conditions());
  }
  void forward(int batch, const float* x, const float* lead_times, float* y) {
    current_->forward(batch, x, lead_times, y);
  }
  void backward(const float* dy) { current_->backward(dy); }

  /// Bytes of weights, gradient and passes, before they are allocated.
  static std::size_t bytes(const TrainingData& data, int batch, Activations activations);

 private:
  const TrainingData& data_;
  std::vector<embed::TrainableModel> models_;  // one a compiled-in model
  std::vector<std::size_t> model_of_;          // of every set
  embed::TrainableModel* current_ = nullptr;
};

}  // namespace fieldstep::cli

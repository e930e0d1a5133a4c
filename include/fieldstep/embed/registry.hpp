#pragma once
#include <fieldstep/core/random.hpp>
#include <fieldstep/embed/any_stepper.hpp>
#include <fieldstep/embed/conditions.hpp>
#include <fieldstep/embed/model_stepper.hpp>
#include <fieldstep/embed/net_stepper.hpp>
#include <fieldstep/embed/network.hpp>
#include <fieldstep/embed/trainable_model.hpp>

#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

/// Networks that were compiled into a program and are chosen when it runs. cmake/FieldstepModels.cmake compiles them.
namespace fieldstep::embed {

/// Any static network behind one type. Move-only; computes as Network does.
class Model {
 public:
  /// Translate turns Conditions into those of Net.
  template <StaticNetwork Net, auto Translate>
  static Model make() {
    using Held = Network<Net>;
    static_assert(std::same_as<typename Held::Real, float>, "Model: compiled models compute in float");
    static constexpr Operations operations{
        .weights = [](void* held) { return static_cast<Held*>(held)->weights(); },
        .condition = [](void* held, const Conditions& c) { static_cast<Held*>(held)->condition(Translate(c)); },
        .forward =
            [](const void* held, int batch, const float* x, float* y,
               [[maybe_unused]] const float* lead_times) noexcept {
              const auto& network = *static_cast<const Held*>(held);
              if constexpr (LeadTimeNetwork<Net>)
                network.forward(batch, x, lead_times, y);
              else
                network.forward(batch, x, y);
            }};
    return Model(Owner(new Held, [](void* held) { delete static_cast<Held*>(held); }), operations);
  }

  /// What a loader fills, in the order of ModelEntry::table.
  float* weights() { return operations_->weights(held_.get()); }
  /// To be called when weights or conditions have changed. Throws Error if the conditions do not fit.
  void condition(const Conditions& conditions) { operations_->condition(held_.get(), conditions); }
  /// x (batch, frames, fields, height, width) -> y (batch, out_fields, height, width); allocates nothing. lead_times:
  /// (batch), read where ModelEntry::lead_time says so.
  void forward(int batch, const float* x, float* y, const float* lead_times = nullptr) const noexcept {
    operations_->forward(held_.get(), batch, x, y, lead_times);
  }

 private:
  struct Operations {
    float* (*weights)(void*);
    void (*condition)(void*, const Conditions&);
    void (*forward)(const void*, int, const float*, float*, const float*) noexcept;
  };
  using Owner = std::unique_ptr<void, void (*)(void*)>;

  Model(Owner held, const Operations& operations) : held_(std::move(held)), operations_(&operations) {}

  Owner held_;
  const Operations* operations_;
};

/// A compiled-in network: what is known of it before it is made, and how to make it.
struct ModelEntry {
  std::string_view family;  ///< as the goldens call it: mpp, poseidon; of small networks conv
  std::string_view name;    ///< as the program calls it: avit-Ti, poseidon-T, Conv;32;4;relu
  int frames, height, width, fields, out_fields;
  bool lead_time;  ///< reads one for every sample
  ParamTable table;
  std::size_t weight_bytes, workspace_bytes;  ///< of the arenas; the workspace holds what is prepared, too
  double (*flop)(int batch);                  ///< 2 x multiply-adds of a forward pass
  Model (*make)();

  /// In training; null where the network was compiled for inference only. training_size: numbers that weights, gradient
  /// and passes over `batch` samples occupy.
  TrainableModel (*make_trainable)(int batch, Activations activations) = nullptr;
  std::size_t (*training_size)(int batch, Activations activations) = nullptr;

  /// As a map of a state to the next, for training over rollouts; null where the network does not compute what it reads
  /// or was compiled for inference only. What the conditions point to must live as long.
  AnyStepper (*make_stepper)(int batch, const Conditions& conditions, float lead_time,
                             Activations activations) = nullptr;

  /// Start values of its own framework; null: those of core/init.hpp.
  void (*initialise)(float* weights, Key key) = nullptr;

  /// ScOT's: what its parameters do not tell.
  int window = 0;  ///< tokens of a side
  int image = 0;   ///< points of a side at which it computes
  bool learn_residual = false;
  double layer_norm_eps = 0;

  std::size_t points() const { return static_cast<std::size_t>(height) * static_cast<std::size_t>(width); }
  std::size_t frame_size() const { return static_cast<std::size_t>(fields) * points(); }    ///< of a frame it reads
  std::size_t out_size() const { return static_cast<std::size_t>(out_fields) * points(); }  ///< of one it computes
};

/// Training: the network's passes of training, or void.
template <StaticNetwork Net, auto Translate, class Training = void>
ModelEntry model_entry(std::string_view family, std::string_view name) {
  using Real = typename Net::Out::value_type;
  ModelEntry entry{.family = family,
                   .name = name,
                   .frames = Net::frames,
                   .height = Net::height,
                   .width = Net::width,
                   .fields = Net::fields,
                   .out_fields = Net::out_fields,
                   .lead_time = LeadTimeNetwork<Net>,
                   .table = Net::table(),
                   .weight_bytes = Net::arena_size * sizeof(Real),
                   .workspace_bytes = (Net::workspace_size + Net::prepared_size) * sizeof(Real),
                   .flop = [](int batch) { return Net::flop(batch); },
                   .make = [] { return Model::make<Net, Translate>(); }};
  if constexpr (requires { Net::window; })
    entry.window = Net::window, entry.image = Net::image_height, entry.learn_residual = Net::learn_residual,
    entry.layer_norm_eps = Net::layer_norm_eps;
  if constexpr (!std::is_void_v<Training>) {
    entry.make_trainable = TrainableModel::make<Training, Translate>;
    entry.training_size = TrainingNetwork<Training>::size;
    if constexpr (Net::fields == Net::out_fields)
      entry.make_stepper = [](int batch, const Conditions& conditions, float lead_time, Activations activations) {
        return AnyStepper::make<ModelStepper<Training>>(batch, Translate(conditions), lead_time, activations);
      };
  }
  return entry;
}

namespace detail {

template <class Net>
typename Net::Conditions no_conditions(const Conditions&) {
  return {};
}

}  // namespace detail

/// A models::FieldNetwork. The passes of its small network are short: training over rollouts comes with it.
template <StaticNetwork Net>
ModelEntry field_network_entry(std::string_view name) {
  ModelEntry entry = model_entry<Net, detail::no_conditions<Net>>("conv", name);
  entry.make_stepper = [](int batch, const Conditions&, float, Activations) {
    return AnyStepper::make<NetStepper<typename Net::Small>>(batch);
  };
  entry.initialise = [](float* weights, Key key) { Net::Small::initialise(weights, key); };
  return entry;
}

/// All networks of this program, in the order in which they were added. The function fieldstep_add_model of
/// cmake/FieldstepModels.cmake generates its definition.
std::vector<ModelEntry> compiled_models();

}  // namespace fieldstep::embed

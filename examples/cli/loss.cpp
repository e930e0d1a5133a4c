#include <examples/cli/loss.hpp>
#include <examples/cli/numbers.hpp>
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/loss/huber.hpp>
#include <fieldstep/train/loss/newest_frame.hpp>
#include <fieldstep/train/loss/normalized.hpp>

namespace fieldstep::cli {

namespace {

template <class Loss>
AnyLoss erased(const Loss& loss) {
  return AnyLoss([loss](int samples, std::size_t size, const float* y, const float* target, double weight, float* dy,
                        float* dtarget) {
    return loss(Kokkos::DefaultHostExecutionSpace(), samples, size, y, target, weight, dy, dtarget);
  });
}

template <class Loss>
AnyLoss of_newest(const Loss& loss, int frames) {
  return frames == 1 ? erased(loss) : erased(train::NewestFrame<Loss>{.frames = frames, .loss = loss});
}

}  // namespace

AnyLoss make_loss(const std::string& text, int frames) {
  const std::size_t end = text.find(';');
  const std::string name = text.substr(0, end);
  const bool with_number = name == "lp" || name == "nlp" || name == "huber";
  const auto number = with_number && end != text.npos ? read_number(text.substr(end + 1)) : std::nullopt;
  const bool complete = with_number ? number && *number > 0 : end == text.npos;
  if (complete && name == "mse") return of_newest(train::MSE<>(), frames);
  if (complete && name == "mae") return of_newest(train::MAE<>(), frames);
  if (complete && name == "rmse") return of_newest(train::RMSE<>(), frames);
  if (complete && name == "nmse") return of_newest(train::NormalizedMSE<>(), frames);
  if (complete && name == "nmae") return of_newest(train::NormalizedMAE<>(), frames);
  if (complete && name == "nrmse") return of_newest(train::NormalizedRMSE<>(), frames);
  if (complete && name == "lp") return of_newest(train::Lp<>{.p = *number}, frames);
  if (complete && name == "nlp") return of_newest(train::NormalizedLp<>{.p = *number}, frames);
  if (complete && name == "huber") return of_newest(train::Huber<>{.delta = *number}, frames);
  fail_usage("--loss: found ", text, ", wanted ", loss_names);
}

}  // namespace fieldstep::cli

// expect: AvitTraining: a trace shows every frame
#include <fieldstep/models/avit_training.hpp>

using namespace fieldstep;

using Net = models::AViT<models::AvitTi, Grid<2, 32, 32, 1>>;
using Training = models::AvitTraining<Net>;

void show(Net::In x, Net::Out y, Training::Plan& plan, const Trace<float>& trace) {
  Training::forward(Kokkos::DefaultHostExecutionSpace(), Net::Weights{}, Net::Prepared{}, x, y, plan, {}, trace);
}

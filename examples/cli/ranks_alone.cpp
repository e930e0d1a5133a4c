#include <examples/cli/ranks.hpp>

#include <memory>

namespace fieldstep::cli {

Ranks::Ranks(int*, char***) {}
Ranks::~Ranks() = default;
int Ranks::rank() { return 0; }
int Ranks::size() { return 1; }
void Ranks::abort(int) {}

int minibatch_parts(bool) { return 1; }

SharedObjective share(MethodObjective& goal, MethodParts&, ParamTable, std::int64_t, bool) {
  return SharedObjective::of(std::shared_ptr<MethodObjective>(&goal, [](MethodObjective*) {}));
}
SharedObjective share(models::AnyTidhy& goal, TidhyParts&, ParamTable, std::int64_t, bool) {
  return SharedObjective::of(std::shared_ptr<models::AnyTidhy>(&goal, [](models::AnyTidhy*) {}));
}
SharedObjective share(Goal& goal, SampleParts&, ParamTable, std::int64_t, bool) {
  return SharedObjective::of(std::shared_ptr<Goal>(&goal, [](Goal*) {}));
}

void broadcast(const train::TrainingState<float>&) {}
bool stop_together(bool stop) { return stop; }
void fail_together() {}

}  // namespace fieldstep::cli

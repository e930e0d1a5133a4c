// expect: Chain: every link but the last must be a GradientTransformation
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/optimizer/sgd.hpp>

const fieldstep::train::Chain chain{fieldstep::train::SGD<>{}, fieldstep::train::SGD<>{}};

// expect: Chain: the last link must be an Optimizer
#include <fieldstep/train/chain.hpp>
#include <fieldstep/train/clip.hpp>

const fieldstep::train::Chain chain{fieldstep::train::ClipGradNorm{1}, fieldstep::train::ClipByValue{1}};

// expect: Residuum: the loss is of a residuum alone, wanted one that needs no target
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/loss/normalized.hpp>

const fieldstep::train::Residuum<fieldstep::train::NormalizedMSE<>> configuration;

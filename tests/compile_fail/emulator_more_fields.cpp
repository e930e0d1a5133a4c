// expect: Emulator: a network that computes more fields than it reads cannot go on
#include <fieldstep/embed/emulator.hpp>
#include <fieldstep/models/scot.hpp>

using namespace fieldstep;

constexpr auto size = sizeof(embed::Emulator<models::ScOT<models::PoseidonT, Grid<1, 64, 64, 3>>>);

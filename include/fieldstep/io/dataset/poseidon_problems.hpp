#pragma once
#include <fieldstep/core/error.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

/// What Poseidon's data sets (scOT/problems/) do not say of themselves: which variable holds which field, and how the
/// fields are normalised. The files of one variable's name differ in both, so the problem has to be named.
namespace fieldstep::io {

/// One channel that a network reads or forecasts. What it sees is ((value - shift) - mean) / deviation, in float.
struct PoseidonChannel {
  enum class Source {
    variable,     ///< entry `index` of the variable's channel axis
    constant,     ///< `index` everywhere
    forcing,      ///< 0.1 sin(2 pi (x + y)), x and y from 0 to 1 at the first and the last point (KolmogorovFlow)
    coefficient,  ///< the variable c, the same at all times
  };
  std::string_view name;
  Source source = Source::variable;
  int index = 0;
  float mean = 0, deviation = 1, shift = 0;
  bool masked = false;  ///< known without a forecast; the original's pixel_mask leaves it out of every loss
};

/// A data set by the name of its file.
struct PoseidonProblem {
  enum class Kind { trajectory, poisson, helmholtz, airfoil };
  std::string name;
  Kind kind = Kind::trajectory;
  std::string_view variable{};
  int axis_channels = 0;                    ///< least extent of the variable's channel axis; 0: it has none
  int frames_per_unit = 0;                  ///< a lead time of 1 is that many frames; 0: steady, lead time 1
  int step = 2;                             ///< frames between the times that training pairs up
  bool transposed = false;                  ///< x and y of the fields are swapped on read, components are not
  std::vector<PoseidonChannel> channels{};  ///< of a frame
  std::vector<PoseidonChannel> inputs{};    ///< steady: what the network reads, other than the channels it computes
  std::vector<std::size_t> groups{};        ///< boundaries of the groups of channels of which errors are reported
};

inline constexpr std::array poseidon_problem_names{"NS-Sines",   "NS-Gauss",   "NS-PwC", "NS-SVS",        "NS-BB",
                                                   "NS-SL",      "FNS-KF",     "CE-RP",  "CE-CRP",        "CE-KH",
                                                   "CE-Gauss",   "CE-RPUI",    "CE-RM",  "GCE-RT",        "ACE",
                                                   "Wave-Layer", "Wave-Gauss", "SE-AF",  "Poisson-Gauss", "Helmholtz"};

/// Throws Error (usage) where there is no such problem. NAME.tracer adds the passive tracer that some files hold.
inline PoseidonProblem poseidon_problem(std::string_view name) {
  using Channel = PoseidonChannel;
  using enum PoseidonChannel::Source;
  using enum PoseidonProblem::Kind;
  PoseidonProblem problem{.name = std::string(name)};
  constexpr std::string_view suffix = ".tracer";
  const bool tracer = name.ends_with(suffix);
  if (tracer) name.remove_suffix(suffix.size());
  const auto is = [&](auto... names) { return ((name == names) || ...); };

  const Channel rho{"rho", variable, 0, .80f, .31f}, u{"u", variable, 1, 0, .391f}, v{"v", variable, 2, 0, .356f};
  const bool has_tracer = is("NS-Sines", "NS-Gauss", "NS-PwC", "NS-SVS", "NS-BB", "CE-RM", "GCE-RT");
  if (std::ranges::find(poseidon_problem_names, name) == poseidon_problem_names.end() || (tracer && !has_tracer)) {
    std::string list;
    for (const std::string_view known : poseidon_problem_names) list.append(list.empty() ? "" : ", ").append(known);
    fail_usage("problem: found ", problem.name, ", wanted one of ", list, "; some with .tracer");
  }
  if (name.starts_with("NS-") || is("FNS-KF")) {
    const bool forced = is("FNS-KF");
    problem.variable = forced ? "solution" : "velocity";
    problem.axis_channels = tracer ? 3 : 2;
    problem.frames_per_unit = 20;
    problem.transposed = is("NS-SL");
    problem.channels = {{"rho", constant, 1, .80f, .31f}, u, v, {"p", constant, 0, 0, .185f, 0, true}};
    problem.channels[1].index = 0, problem.channels[2].index = 1;
    problem.groups = {0, 1, 3, 4};
    if (forced) {
      problem.channels[1].mean = -2.2424793e-13f, problem.channels[1].deviation = .22017328f;
      problem.channels[2].mean = 4.1510376e-12f, problem.channels[2].deviation = .22078253f;
      problem.channels.push_back({"g", forcing, 0, -1.2996679288335145e-09f, .0707106739282608f});
    }
    if (tracer) problem.channels.push_back({"tracer", variable, 2, .19586183f, .37f});
  } else if (is("CE-RM", "GCE-RT")) {
    problem.variable = "solution";
    problem.groups = {0, 1, 3, 4};
    if (is("CE-RM")) {
      problem.axis_channels = tracer ? 5 : 4, problem.frames_per_unit = 20;
      problem.channels = {{"rho", variable, 0, 1.1964245f, .5543239f},
                          {"u", variable, 1, -7.164812e-06f, .24304213f},
                          {"v", variable, 2, 2.8968952e-06f, .2430597f},
                          {"p", variable, 3, 1.5648036f, .89639103f}};
    } else {
      problem.axis_channels = 6, problem.frames_per_unit = 10, problem.step = 1;
      problem.channels = {{"rho", variable, 0, .8970493f, .12857835f},
                          {"u", variable, 1, 4.0316996e-13f, .014896976f},
                          {"v", variable, 2, -1.3858967e-13f, .014896975f},
                          {"p", variable, 3, .7133829f, .21293919f}};
    }
    if (tracer) problem.channels.push_back({"tracer", variable, 4});
    if (is("GCE-RT")) problem.channels.push_back({"phi", variable, 5, -1.7055787f, .40131348f});
  } else if (name.starts_with("CE-")) {
    const float pressure = is("CE-Gauss") ? 2.513f
                           : is("CE-KH")  ? 1.0f
                           : is("CE-RP")  ? .215f
                           : is("CE-CRP") ? .553f
                                          : 1.33f;
    problem.variable = "data";
    problem.axis_channels = 4, problem.frames_per_unit = 20;
    problem.channels = {rho, u, v, {"p", variable, 3, 0, .185f, pressure}};
    problem.groups = {0, 1, 3, 4};
  } else if (is("ACE")) {
    problem.variable = "solution";
    problem.frames_per_unit = 19;
    problem.channels = {{"u", variable, 0, .002484262f, .65351176f}};
  } else if (is("Wave-Layer", "Wave-Gauss")) {
    const bool layer = is("Wave-Layer");
    problem.variable = "solution";
    problem.frames_per_unit = layer ? 20 : 15;
    problem.channels = {layer ? Channel{"u", variable, 0, .03467443221585092f, .10442421752963911f}
                              : Channel{"u", variable, 0, .0334376316f, .1171879068f},
                        layer ? Channel{"c", coefficient, 0, 3498.5644380917424f, 647.843958567462f}
                              : Channel{"c", coefficient, 0, 2618.4593933f, 601.51658913f}};
  } else if (is("SE-AF")) {
    problem.kind = airfoil, problem.variable = "solution", problem.axis_channels = 2;
    problem.inputs = {{"shape", variable, 0}};
    problem.channels = {{"rho", variable, 1, .92984116f, .10864315f}};
  } else if (is("Poisson-Gauss")) {
    problem.kind = poisson;
    problem.inputs = {{"source", variable, 0, .014822142414492256f, 4.755138816607612f}};
    problem.channels = {{"solution", variable, 0, .0005603458434937093f, .02401226126952699f}};
  } else {
    problem.kind = helmholtz;
    problem.inputs = {{"a", variable, 0, 1}, {"bc", variable, 0}};
    problem.channels = {{"u", variable, 0, .11523915668552f, .8279975746000605f}};
  }
  if (problem.groups.empty()) problem.groups = {0, 1};
  if (problem.groups.back() < problem.channels.size()) problem.groups.push_back(problem.channels.size());
  return problem;
}

}  // namespace fieldstep::io

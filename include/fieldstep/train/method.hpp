#pragma once
#include <fieldstep/core/error.hpp>
#include <fieldstep/train/configuration/any.hpp>
#include <fieldstep/train/configuration/diverted_chain.hpp>
#include <fieldstep/train/configuration/mix_chain.hpp>
#include <fieldstep/train/configuration/residuum.hpp>
#include <fieldstep/train/configuration/supervised.hpp>

#include <charconv>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

// Configurations as short texts, such as "sup;5;true".
// Source: apebench's train_config strings and the names of the predictor-learning taxonomy.
namespace fieldstep::train {

template <class Loss>
using Method = AnyConfiguration<Supervised<Loss>, DivertedChain<Loss>, MixChain<Loss>, Residuum<Loss>>;

namespace detail {

inline std::vector<std::string_view> split_fields(std::string_view text) {
  std::vector<std::string_view> fields;
  for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(end == text.npos ? 0 : end + 1)) {
    end = text.find(';');
    fields.push_back(text.substr(0, end));
  }
  return fields;
}

/// A whole number, whose digits may be grouped by underscores; false where the text is none.
inline bool read_count(std::string_view text, int& number) {
  std::string digits;
  for (const char c : text)
    if (c != '_') digits += c;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size();
}

}  // namespace detail

/// A configuration from its text:
///   one                            Supervised, one step
///   sup;R[;CUT]                    Supervised, R steps; CUT true: without gradient through the network's states
///   tf;R;F                         Supervised, R steps, the data as state after every F of them
///   div;R[;CUT[;CUT_REFERENCE]]    DivertedChain with branches of one step
///   div;R;B[;CUT[;CUT_REFERENCE]]  the same with branches of B steps
///   mix;R;K[;CUT]                  MixChain, R steps of the network, then K of the reference
///   mix;PATTERN[;CUT]              MixChain in the order of the letters N (network) and P (physics)
///   res;R[;CUT]                    Residuum, R steps
template <class Loss>
Method<Loss> parse_method(std::string_view text, const Loss& loss = {}) {
  const std::vector<std::string_view> fields = detail::split_fields(text);
  const auto refuse = [&] [[noreturn]] {
    fail_usage("method \"", text,
               "\": wanted one, sup;R[;CUT], tf;R;F, div;R[;B][;CUT[;CUT_REFERENCE]], mix;R;K[;CUT], mix;PATTERN[;CUT]"
               " or res;R[;CUT], with whole numbers R, B, F, K and true or false for cuts");
  };
  std::size_t next = 1;
  const auto left = [&] { return next < fields.size(); };
  const auto count = [&] {
    int number = 0;
    if (!left() || !detail::read_count(fields[next++], number)) refuse();
    return number;
  };
  const auto cut = [&] {
    if (!left()) return false;
    const std::string_view word = fields[next++];
    if (word != "true" && word != "false" && word != "True" && word != "False") refuse();
    return word == "true" || word == "True";
  };

  Method<Loss> method;
  const std::string_view kind = fields[0];
  if (kind == "one") {
    method.choice = Supervised<Loss>{.loss = loss};
  } else if (kind == "sup") {
    const int R = count();
    method.choice = Supervised<Loss>{.rollout = R, .cut_bptt = cut(), .loss = loss};
  } else if (kind == "tf") {
    const int R = count(), F = count();
    method.choice = Supervised<Loss>{.rollout = R, .forcing_every = F, .loss = loss};
  } else if (kind == "div") {
    DivertedChain<Loss> chain{.rollout = count(), .loss = loss};
    int ignored;
    if (left() && detail::read_count(fields[next], ignored)) chain.branch_steps = count();
    chain.cut_bptt = cut(), chain.cut_div_chain = cut();
    method.choice = chain;
  } else if (kind == "mix" && left()) {
    MixChain<Loss> chain{.loss = loss};
    int network = 0;
    if (detail::read_count(fields[next], network))
      network = count(), chain.pattern = MixChain<Loss>::post_physics(network, count());
    else
      chain.pattern = fields[next++];
    chain.cut_bptt = cut();
    method.choice = chain;
  } else if (kind == "res") {
    const int R = count();
    method.choice = Residuum<Loss>{.rollout = R, .cut_bptt = cut(), .loss = loss};
  } else {
    refuse();
  }
  if (left()) refuse();
  method.check();
  return method;
}

}  // namespace fieldstep::train

#include <fieldstep/train/method.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace fieldstep;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::MessageMatches;
using Loss = train::MSE<>;

namespace {

template <class C>
C parsed(const char* text) {
  return std::get<C>(train::parse_method<Loss>(text).choice);
}

}  // namespace

TEST_CASE("parse_method: apebench's texts mean what they mean there", "[train][method]") {
  using Supervised = train::Supervised<Loss>;
  using Diverted = train::DivertedChain<Loss>;
  CHECK(parsed<Supervised>("one").rollout == 1);
  CHECK(parsed<Supervised>("sup;5").rollout == 5);
  CHECK(!parsed<Supervised>("sup;5").cut_bptt);
  CHECK(parsed<Supervised>("sup;5;true").cut_bptt);
  CHECK(parsed<Supervised>("sup;1_0").rollout == 10);
  const auto diverted = parsed<Diverted>("div;3;false;true");
  CHECK(diverted.rollout == 3);
  CHECK(diverted.branch_steps == 1);
  CHECK(!diverted.cut_bptt);
  CHECK(diverted.cut_div_chain);
}

TEST_CASE("parse_method: what apebench has no texts for", "[train][method]") {
  const auto diverted = parsed<train::DivertedChain<Loss>>("div;3;2;true");
  CHECK(diverted.branch_steps == 2);
  CHECK(diverted.cut_bptt);
  CHECK(parsed<train::Supervised<Loss>>("tf;4;2").forcing_every == 2);
  CHECK(parsed<train::MixChain<Loss>>("mix;2;1").pattern == "NNP");
  CHECK(parsed<train::MixChain<Loss>>("mix;PNP;true").pattern == "PNP");
  CHECK(parsed<train::Residuum<Loss>>("res;3").rollout == 3);
}

TEST_CASE("parse_method: a text that is none is answered with the list", "[train][method]") {
  for (const char* text : {"", "sup", "sup;", "sup;x", "sup;2;yes", "sup;2;true;3", "div;2;1;true;true;true", "mix",
                           "mix;2", "tf;2", "nothing;3", "one;2"})
    CHECK_THROWS_MATCHES(train::parse_method<Loss>(text), Error,
                         MessageMatches(ContainsSubstring("wanted one, sup;R")));
  CHECK_THROWS_MATCHES(train::parse_method<Loss>("sup;0"), Error, MessageMatches(ContainsSubstring("rollout = 0")));
  CHECK_THROWS_MATCHES(train::parse_method<Loss>("div;2;3"), Error,
                       MessageMatches(ContainsSubstring("branch_steps = 3")));
}

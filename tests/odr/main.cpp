#include <fieldstep/fieldstep.hpp>

const fieldstep::Version& version_of_other_unit();

int main() { return &fieldstep::version == &version_of_other_unit() ? 0 : 1; }  // inline: one object for both

#include <fieldstep/fieldstep.hpp>

const fieldstep::Version& version_of_other_unit();
const fieldstep::Version& version_of_other_unit() { return fieldstep::version; }

#include "optimize/stages.h"

#include <array>
#include <cstddef>

namespace xdn::optimize {
namespace {

struct Row {
  const char* name;
  const char* text;
};
constexpr std::array kRows{
#define XDN_STAGE(stage, name, what) Row{name, what},
#include "optimize/stages.inc"
#undef XDN_STAGE
};

}  // namespace

const char* stage_name(Stage stage) { return kRows[static_cast<size_t>(stage)].name; }
const char* stage_text(Stage stage) { return kRows[static_cast<size_t>(stage)].text; }

}  // namespace xdn::optimize

#pragma once

#include <cstdint>

namespace xdn::optimize {

enum class Stage : uint8_t {
#define XDN_STAGE(stage, name, what) stage,
#include "optimize/stages.inc"
#undef XDN_STAGE
};

/// "prune"
const char* stage_name(Stage stage);
/// What it does, for people.
const char* stage_text(Stage stage);

}  // namespace xdn::optimize

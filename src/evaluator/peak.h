#pragma once

#include <string>
#include <vector>

#include "executor/executor.h"

namespace xdn {

/// Multiply-accumulates per second that `threads` threads together reach with an instruction set's dots on
/// registers alone: no kernel of that arithmetic (StepReport::arith) is faster here. Measured for about 50
/// ms; 0 where this processor lacks the instruction set.
double measure_peak(Isa isa, const std::string& arith, int threads);

/// The instruction sets that this processor lacks, by name.
std::vector<std::string> missing_isas();

}  // namespace xdn

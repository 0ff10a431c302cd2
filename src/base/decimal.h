#pragma once

namespace xdn {

/// The double that prints as the shortest decimal that reads back as this float: JSON then says 0.1, not
/// 0.10000000149011612.
double shortest_decimal(float value);

}  // namespace xdn

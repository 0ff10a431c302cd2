#pragma once

#include <cstdint>

namespace xdn::reference {

/// y [m, n] = a [m, k] * b [k, n], all dense and row-major. Integers wrap.
template <class W>
void matmul(int64_t m, int64_t n, int64_t k, const W* a, const W* b, W* y);

}  // namespace xdn::reference

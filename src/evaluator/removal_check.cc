#include "evaluator/removal_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/error.h"

namespace xdn {
namespace {

std::vector<float> logits_of(const Graph& graph, const PixelMap& pixels, const uint8_t* images, int64_t n,
                             std::optional<Isa> isa) {
  ExecOptions options;
  options.isa = isa;
  options.precision = Precision::kFp32;
  options.pixels = pixels;
  if (isa) options.fusion = FusionLevel::kOff;
  Executor executor(graph, std::move(options));
  std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
  executor.run_u8({.data = images, .fill = {}}, n, out.data());
  return out;
}

}  // namespace

RemovalCheck check_removal(const Graph& masked, const Graph& removed, const PixelMap& pixels,
                           const uint8_t* images, int64_t n) {
  // Sums in another order differ by a few units in the last place per layer; a wrong channel by far more.
  constexpr double kTolerance = 1e-3;
  const std::vector<float> expected = logits_of(masked, pixels, images, n, Isa::kRef);
  const std::vector<float> actual = logits_of(removed, pixels, images, n, Isa::kRef);
  if (expected.size() != actual.size() ||
      std::memcmp(expected.data(), actual.data(), expected.size() * sizeof(float)) != 0) {
    throw failure("the model without the channels computes otherwise than the one where they are zero");
  }
  const std::vector<float> fast = logits_of(removed, pixels, images, n, std::nullopt);
  double largest = 0, error = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(actual[i])));
    error = std::max(error, std::abs(static_cast<double>(actual[i]) - static_cast<double>(fast[i])));
  }
  RemovalCheck check{n, error / std::max(largest, 1e-30)};
  if (!(check.executor_error <= kTolerance)) {
    throw failure("the executor differs from the oracle by " + std::to_string(check.executor_error) +
                  " of the largest logit");
  }
  return check;
}

}  // namespace xdn

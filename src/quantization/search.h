#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "evaluator/judge.h"
#include "quantization/quantize.h"

namespace xdn {

struct SearchOptions {
  double max_drop = 0.2;  ///< percentage points that accuracy may lose on the judge's images
  int most_trials = 16;
  double most_seconds = 600;
  FloatKind fallback = FloatKind::kF32;   ///< what layers that are not in 8 bits compute in
  std::map<std::string, FloatKind> kept;  ///< layers that stay float in any case
};

/// A choice of layers that was tried.
struct Trial {
  std::string name;  ///< "int8", "int8 but 4 layers", "bf16"
  std::map<std::string, FloatKind> float_layers;
  Verdict verdict;
  bool within = false;  ///< the drop is at most what is allowed
};

/// What 8 bits in one layer cost: the logits' error with that layer alone in 8 bits, less that with none.
struct Sensitivity {
  std::string layer;
  double cost = 0;
};

struct SearchResult {
  std::vector<Trial> trials;               ///< in the order they were tried
  std::vector<Sensitivity> sensitivities;  ///< the dearest first; empty where 8 bits everywhere were within
  int chosen = -1;                         ///< of trials; -1: none was within
  bool all_bf16 = false;                   ///< the chosen one has no layer in 8 bits
  bool stopped = false;                    ///< by the bound on trials or time
};

struct SearchProgress {
  std::function<void(const Trial&)> judged;
  std::function<void(size_t done, size_t total)> ranked;  ///< layers
};

/// Looks for the fewest layers that must stay float for the accuracy to hold. The layers are ranked by the
/// logits' error on few images with one alone in 8 bits (freeing one instead would let two bad ones hide each
/// other); then the n dearest are freed, n doubling until the drop is allowed and halving the last step back.
/// The last resort is all layers in bf16. `progress.judged` is told about each trial once it is judged. Among
/// what is within, the one with the fewest float layers is chosen.
SearchResult search_layers(const Quantizer& quantizer, Judge& judge, const Graph& original,
                           const SearchOptions& options, const SearchProgress& progress);

}  // namespace xdn

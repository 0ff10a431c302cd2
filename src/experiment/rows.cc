#include "experiment/rows.h"

#include <algorithm>
#include <array>

namespace xdn::experiment {
namespace {

using enum ModelRole;
using enum Engine;
using enum Group;

constexpr bool kOnline = true, kPacked = false, kTuned = true, kDefaults = false;

constexpr std::array kRows{
    Row{"Original", "on-line decoding, no fusion, default settings", kVariants, kOriginal, kXdn, "off",
        kOnline, kDefaults, 2263, 0.8439},
    Row{"A-1", "unpruned, no fusion", kVariants, kOriginal, kXdn, "off", kPacked, kTuned, 505, 0.8439},
    Row{"A-2", "unpruned, conv&bn fusion", kVariants, kOriginal, kXdn, "traditional", kPacked, kTuned, 485,
        0.8441},
    Row{"B-1", "60 % of the inner filters, no fusion", kVariants, kB, kXdn, "off", kPacked, kTuned, 449,
        0.8462},
    Row{"B-2", "60 % of the inner filters, conv&bn fusion", kVariants, kB, kXdn, "traditional", kPacked,
        kTuned, 304, 0.8455},
    Row{"C-1", "pruned too far, no fusion", kVariants, kC, kXdn, "off", kPacked, kTuned, 428, 0.8191},
    Row{"C-2", "pruned too far, conv&bn fusion", kVariants, kC, kXdn, "traditional", kPacked, kTuned, 297,
        0.8203},
    Row{"pruning", "B instead of the original, all else as Original", kSteps, kB, kXdn, "off", kOnline,
        kDefaults},
    Row{"fusion", "and conv&bn fusion", kSteps, kB, kXdn, "traditional", kOnline, kDefaults},
    Row{"off-line", "and data decoded beforehand", kSteps, kB, kXdn, "traditional", kPacked, kDefaults},
    Row{"B-int8", "B-2 in 8 bits", kSteps, kBInt8, kXdn, "traditional", kPacked, kTuned},
    Row{"A-int8", "the original in 8 bits", kSteps, kOriginalInt8, kXdn, "traditional", kPacked, kTuned},
    Row{"pruned", "pruned by latency, float32, aggressive fusion", kSteps, kPruned, kXdn, "aggressive",
        kPacked, kTuned},
    Row{"best", "pruned by latency, 8 bits, aggressive fusion", kSteps, kBest, kXdn, "aggressive", kPacked,
        kTuned},
    Row{"ORT-fp32", "ONNX Runtime, original, decoded tensors", kPeers, kOriginal, kOnnxRuntime},
    Row{"ORT-fp32-online", "ONNX Runtime, original, decoding by OpenCV", kPeers, kOriginal, kOnnxRuntime, "",
        kOnline},
    Row{"ORT-int8", "ONNX Runtime, original in 8 bits, decoded tensors", kPeers, kOriginalInt8, kOnnxRuntime},
    Row{"ORT-int8-online", "ONNX Runtime, original in 8 bits, decoding by OpenCV", kPeers, kOriginalInt8,
        kOnnxRuntime, "", kOnline},
    Row{"OpenCV", "OpenCV dnn, original, decoded tensors", kPeers, kOriginal, kOpenCv},
};

constexpr std::array kWaterfall{
    Step{"Original", "Original", 2263},
    Step{"pruning", "pruning", 1291},
    Step{"fusion", "fusion", 833},
    Step{"off-line preprocessing", "off-line", 746},
    Step{"auto-tuning", "B-2", 304},
    Step{"int8", "B-int8"},
    Step{"aggressive fusion, latency-aware pruning", "best"},
};

}  // namespace

std::span<const Row> rows() { return kRows; }

const Row* find_row(std::string_view name) {
  const auto* const found =
      std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.name == name; });
  return found == kRows.end() ? nullptr : found;
}

std::span<const Step> waterfall() { return kWaterfall; }

std::string_view model_name(ModelRole role) {
  switch (role) {
    case kOriginal:
      return "original";
    case kB:
      return "B";
    case kC:
      return "C";
    case kOriginalInt8:
      return "original-int8";
    case kBInt8:
      return "B-int8";
    case kPruned:
      return "pruned";
    case kBest:
      break;
  }
  return "best";
}

std::string_view engine_name(Engine engine) {
  return engine == kXdn ? "XDN" : engine == kOnnxRuntime ? "ONNX Runtime" : "OpenCV dnn";
}

}  // namespace xdn::experiment

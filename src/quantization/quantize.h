#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "quantization/calibrate.h"
#include "quantization/insert_qdq.h"
#include "quantization/ranges.h"
#include "quantization/rounding.h"

namespace xdn {

enum class Rounding : uint8_t { kNearest, kLeastSquares };

struct QuantizeOptions {
  bool equalize = false;  ///< see equalize.h
  bool correct_bias = true;
  Rounding rounding = Rounding::kLeastSquares;
  /// Sums of two convolutions (projections) get tied scales, and no rounding to 8 bits before the sum, where
  /// that makes the sum's error no larger.
  bool merge_sums = false;
};

/// What a layer that is not in 8 bits computes in.
enum class FloatKind : uint8_t { kF32, kBf16 };

/// What quantization did to one layer's weights.
struct LayerReport {
  std::string layer;
  /// Error of the layer's outputs that rounding the weights causes, to the outputs' own variance, both over
  /// the calibration images; 0 where it is not known (see InputMoments).
  double relative_error = 0;
  double nearest_relative_error = 0;  ///< the same, had the weights been rounded to nearest
};

/// A sum of two convolutions whose scales might be tied.
struct SumReport {
  std::string add;
  double tied_error = 0;    ///< squared error of the sum with tied scales: of the weights' rounding
  double stored_error = 0;  ///< with scales of their own: of the weights' and of both results' rounding
  bool tied = false;
};

/// One model on its way to 8 bits: prepared once, then written with any choice of layers.
class Quantizer {
 public:
  /// Fuses what an ordinary quantized model has fused (BatchNorm, scales, padding), names the layers. Input
  /// error where the model is quantized already, where nothing in it can be, or where weights are not finite.
  Quantizer(Graph model, const QuantizeOptions& options);

  /// The model in f32 as it will be cut into layers.
  const Graph& graph() const { return graph_; }
  /// How many pairs of layers were equalized.
  int equalized() const { return equalized_; }
  /// The values that need a range.
  std::vector<std::string> values() const { return quantized_values(graph_); }
  std::vector<LinearLayer> layers() const { return linear_layers(graph_); }

  /// Ranges for exactly values().
  void set_ranges(Ranges ranges) { ranges_ = std::move(ranges); }
  const Ranges& ranges() const { return ranges_; }
  /// Rounds the weights; needs the ranges. Without images, or where the options need no moments, to nearest.
  void round_weights(const Calibration* calibration);
  const std::vector<LayerReport>& reports() const { return reports_; }
  const std::vector<SumReport>& sums() const { return sums_; }

  /// The QDQ model. Layers in float_layers, by name, stay float; those that are to run in bf16 have their
  /// weights rounded to it and stand in metadata["xdn.bf16_layers"], one name per line.
  Graph quantized(const std::map<std::string, FloatKind>& float_layers = {}) const;

 private:
  /// The scale of each layer's input; 1 where it is not quantized: the layer stays float.
  std::map<std::string, float> input_scales(const std::vector<LinearLayer>& layers) const;
  LayerWeights start(const LinearLayer& layer, std::vector<float> scale) const;
  /// Rounds by the options; returns the errors.
  RoundedWeights round(const LinearLayer& layer, const InputMoments& moments, LayerWeights& weights) const;
  void tie_sums(const std::map<std::string, RoundedWeights>& own,
                const std::map<std::string, RoundedWeights>& tied,
                std::map<std::string, LayerWeights> tied_weights);

  Graph graph_;
  QuantizeOptions options_;
  int equalized_ = 0;
  Ranges ranges_;
  std::map<std::string, LayerWeights> weights_;
  std::vector<LayerReport> reports_;
  std::vector<SumReport> sums_;
};

/// Every linear layer in bf16, as Quantizer::quantized writes such layers; no calibration is needed.
Graph bf16_model(Graph model);

/// A QDQ model for measuring speed, which values do not change: ranges are made up, weights rounded to
/// nearest, nothing runs. Layers that have names keep them.
Graph quantized_for_timing(Graph model);

}  // namespace xdn

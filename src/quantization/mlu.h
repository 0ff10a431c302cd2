#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/mlu.h"

namespace xdn {

/// The vendor's rule for numbers of at most this magnitude: position = trunc(log2(absmax / 127)), plus 1
/// where that logarithm is positive, within +-32; scale = 127 * 2^position / absmax. Nothing but zeros:
/// position 0, scale 1. So 1 gives position -6 and scale 1.984375; within the clamp scale lies in [1, 2].
/// Throws an input error unless absmax is finite and not negative.
MluDtype mlu_dtype(float absmax);

/// 2^position / scale: what one level stands for; at least the least normal float.
float mlu_step(const MluDtype& dtype);
/// x * scale / 2^position to the nearest integer, halves to even, within [-128, 127]. Not a number: 0.
int8_t mlu_quantize(float x, const MluDtype& dtype);
float mlu_dequantize(int8_t level, const MluDtype& dtype);

/// A byte becomes (byte * scale - mean[c]) / std[c], mean and std having one number per channel in the
/// model's order.
struct PixelNormalisation {
  float scale = 1;
  std::vector<float> mean, std;
  bool rgb = true;  ///< the model's order, of three channels; false: BGR, which is the chip's
};

/// The same model for raw pixels, as the chip takes them: in BGR, whatever the model's order was. The Conv
/// that reads the image gets (x - mean) * std before it, named as Normalisation tells, with a mean per
/// channel and one std: that of the largest deviation. What is left of the deviations goes into its weights,
/// whose input channels are permuted. Throws an input error naming the layer unless one Conv with constant
/// weights alone reads the only input, which has 1 or 3 channels.
Graph normalise_on_chip(Graph graph, const PixelNormalisation& pixels);

/// The values whose absmax mlu_layers asks for, each once, in the order of their first readers.
std::vector<ValueId> mlu_inputs(const Graph& graph);

/// The rule for every Conv, Gemm and MatMul. absmax: by value name, the largest |x| over the calibration
/// images of each of mlu_inputs. Throws an input error naming the layer where a value is missing or weights
/// are computed or not finite.
MluLayers mlu_layers(const Graph& graph, const std::map<std::string, float>& absmax);

/// The chip's arithmetic as an ordinary quantized graph: inputs of the layers pass QuantizeLinear and
/// DequantizeLinear, s8 with zero point 0 and one scale per tensor, 2^position / scale; weights are s8 behind
/// a DequantizeLinear. Accumulators, biases and all else stay f32. Ids of nodes and values of `graph` stay
/// valid.
Graph simulate_mlu(Graph graph, const MluLayers& layers);

}  // namespace xdn

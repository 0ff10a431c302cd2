#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "quantization/mlu.h"

namespace xdn {
namespace {

/// What the chip computes from a byte, and what is left for the weights; in its order of channels.
struct ChipPixels {
  std::vector<float> mean;
  float std = 1;
  std::vector<double> weight_factor;
  bool reversed = false;  ///< its channel c is the model's last but c
};

/// (b * scale - mean) / std = (b - mean / scale) * (scale / widest) * (widest / std). With the widest
/// deviation the last factor is at most 1, so that no weight overflows.
ChipPixels split(const PixelNormalisation& pixels, size_t channels) {
  if (channels != 1 && channels != 3) {
    throw input_error("reads " + std::to_string(channels) + " channels, the chip's pixels have 1 or 3");
  }
  if (pixels.mean.size() != channels || pixels.std.size() != channels) {
    throw input_error("the normalisation has " + std::to_string(pixels.mean.size()) + " means and " +
                      std::to_string(pixels.std.size()) + " deviations, expected one for each of " +
                      std::to_string(channels) + " channels");
  }
  ChipPixels out;
  out.reversed = pixels.rgb && channels == 3;
  const auto shorter = [](float a, float b) { return std::abs(a) < std::abs(b); };
  const double widest = static_cast<double>(*std::max_element(pixels.std.begin(), pixels.std.end(), shorter));
  const auto scale = static_cast<double>(pixels.scale);
  out.std = static_cast<float>(scale / widest);
  bool sound = std::isfinite(out.std) && out.std != 0;
  for (size_t c = 0; c < channels; ++c) {
    const size_t from = out.reversed ? channels - 1 - c : c;
    out.mean.push_back(static_cast<float>(static_cast<double>(pixels.mean[from]) / scale));
    out.weight_factor.push_back(widest / static_cast<double>(pixels.std[from]));
    sound = sound && std::isfinite(out.mean.back()) && std::isfinite(out.weight_factor.back());
  }
  if (!sound) throw input_error("its pixels' scale, mean and std go beyond the range of a float");
  return out;
}

Tensor chip_weights(const Tensor& weights, int64_t group, const ChipPixels& pixels) {
  const auto channels = pixels.mean.size(), oc = static_cast<size_t>(weights.dim(0)),
             per_group = static_cast<size_t>(weights.dim(1));
  if (group != 1 && pixels.reversed) {
    throw input_error("is a convolution of " + std::to_string(group) +
                      " groups, through which the chip's BGR cannot become the model's RGB");
  }
  const size_t taps = static_cast<size_t>(weights.size()) / (oc * per_group);
  const size_t oc_per_group = oc / static_cast<size_t>(group);
  Tensor out = Tensor::uninitialized(DType::kF32, weights.dims());
  const auto src = weights.data<float>();
  const auto dst = out.mutable_data<float>();
  for (size_t o = 0; o < oc; ++o) {
    for (size_t i = 0; i < per_group; ++i) {
      const size_t channel = o / oc_per_group * per_group + i;
      const size_t from = pixels.reversed ? channels - 1 - i : i;
      for (size_t t = 0; t < taps; ++t) {
        dst[(o * per_group + i) * taps + t] = static_cast<float>(
            static_cast<double>(src[(o * per_group + from) * taps + t]) * pixels.weight_factor[channel]);
      }
    }
  }
  return out;
}

/// The convolution that alone reads the graph's only input.
NodeId first_convolution(const Graph& graph) {
  if (graph.inputs().size() != 1) {
    throw input_error("has " + std::to_string(graph.inputs().size()) +
                      " inputs, expected images alone for the chip to normalise");
  }
  const ValueId image = graph.inputs()[0];
  const std::vector<NodeId> readers = graph.users()[static_cast<size_t>(image)];
  if (readers.size() != 1 || graph.is_output(image)) {
    throw input_error("the image '" + printable(graph.value(image).name) + "' has " +
                      std::to_string(readers.size()) +
                      " readers, expected one convolution that normalises it");
  }
  const Node& node = graph.node(readers[0]);
  if (node.type != OpType::kConv || node.inputs[0] != image || graph.value(image).shape.size() != 4) {
    throw input_error(std::string(op_info(node.type).name) +
                      " reads the image; only a two-dimensional convolution can normalise it")
        .in_layer(layer_name(graph, node));
  }
  return readers[0];
}

}  // namespace

Graph normalise_on_chip(Graph graph, const PixelNormalisation& pixels) {
  const NodeId conv = first_convolution(graph);
  const std::string layer = layer_name(graph, graph.node(conv));
  try {
    const std::vector<ValueId> inputs = graph.node(conv).inputs;
    if (!graph.is_constant(inputs[1]) || graph.constant(inputs[1]).dtype() != DType::kF32)
      throw input_error("has no constant f32 weights to take in the deviations of the pixels");
    const auto channels = static_cast<size_t>(graph.value(inputs[0]).shape[1]);
    const ChipPixels chip = split(pixels, channels);
    Tensor weights = chip_weights(graph.constant(inputs[1]), graph.node(conv).as<ConvAttrs>().group, chip);

    const auto emit = [&](OpType type, const std::string& name, ValueId x, Tensor operand) {
      const ValueId constant = graph.add_constant(name + "_value", std::move(operand));
      return graph.output_of(graph.add_node(type, NoAttrs{}, name, {x, constant}, name + "/inner", conv));
    };
    ValueId x = emit(OpType::kSub, layer + "/mean", inputs[0],
                     Tensor::of(Dims{static_cast<int64_t>(channels), 1, 1}, chip.mean));
    if (chip.std != 1) x = emit(OpType::kMul, layer + "/std", x, Tensor::scalar(chip.std));
    const ValueId w = graph.add_constant(layer + "/weight", std::move(weights));
    graph.node(conv).inputs[0] = x;
    graph.node(conv).inputs[1] = w;
  } catch (Error& error) {
    throw error.in_layer(layer);
  }
  graph.drop_unused_constants();
  infer_shapes(graph);
  verify(graph);
  return graph;
}

}  // namespace xdn

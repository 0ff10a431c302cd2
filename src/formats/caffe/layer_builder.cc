#include "formats/caffe/layer_builder.h"

#include "base/error.h"

namespace xdn {

LayerBuilder::LayerBuilder(CaffeImport& import, const caffe::LayerParameter& layer_parameter, size_t index)
    : layer(layer_parameter), import_(import), index_(index) {
  for (const std::string& name : layer.bottom()) {
    const auto found = import_.blobs.find(name);
    if (found != import_.blobs.end()) {
      bottoms_.push_back(found->second);
      continue;
    }
    const auto reason = import_.left_out.find(name);
    throw input_error(
        "bottom '" + printable(name) + "' " +
        (reason != import_.left_out.end() ? reason->second : "is not the top of any layer before"));
  }
}

void LayerBuilder::expect(int fewest_bottoms, int most_bottoms, int fewest_tops, int most_tops) const {
  const auto check = [](const char* what, int found, int fewest, int most) {
    if (found >= fewest && found <= most) return;
    std::string expected = fewest == most      ? std::to_string(fewest)
                           : most == INT32_MAX ? "at least " + std::to_string(fewest)
                                               : std::to_string(fewest) + " to " + std::to_string(most);
    throw input_error("has " + std::to_string(found) + " " + what + (found == 1 ? "" : "s") + ", expected " +
                      expected);
  };
  check("bottom", layer.bottom_size(), fewest_bottoms, most_bottoms);
  check("top", layer.top_size(), fewest_tops, most_tops);
}

int64_t LayerBuilder::axis(int64_t value, size_t rank, const char* field, bool end) const {
  const auto size = static_cast<int64_t>(rank);
  const int64_t last = end ? size : size - 1;
  const int64_t counted = value >= 0 ? value : value + size;
  if (counted < 0 || counted > last) {
    throw input_error(std::string(field) + " " + std::to_string(value) + " is outside a blob of " +
                      std::to_string(rank) + " axes");
  }
  return counted;
}

int64_t LayerBuilder::axis_within_image(int64_t value, size_t rank, const char* field) const {
  const int64_t counted = axis(value, rank, field);
  if (counted == 0)
    throw input_error(std::string(field) + " is the batch axis, expected one within the image");
  return counted;
}

std::vector<Tensor> LayerBuilder::weights(const std::vector<Dims>& expected) {
  if (!import_.layers_with_weights.insert(layer.name()).second) {
    throw input_error("is a name that two layers with weights have; expected unique names");
  }
  std::vector<Tensor> blobs = import_.weights.take(layer.name(), expected);
  if (layer.blobs_dtype_size() > 0) import_.preserver.add_weights(layer.name(), blobs.front());
  return blobs;
}

ValueId LayerBuilder::constant(const std::string& suffix, Tensor tensor) {
  return import_.graph.add_constant(spare_name(layer.name() + "/" + suffix), std::move(tensor));
}

ValueId LayerBuilder::emit(OpType type, OpAttrs attrs, std::vector<ValueId> inputs,
                           const std::string& suffix) {
  const std::string name = node_name(suffix);
  return add(type, std::move(attrs), std::move(inputs), name, spare_name(name + "/inner"));
}

void LayerBuilder::emit_top(OpType type, OpAttrs attrs, std::vector<ValueId> inputs,
                            const std::string& suffix, size_t top) {
  const std::string& blob = layer.top(static_cast<int>(top));
  const bool last = import_.last_writer.at(blob) == index_ && !import_.graph.find_value(blob);
  const std::string value_name = last ? blob : spare_name(blob + "/" + layer.name());
  import_.blobs[blob] = add(type, std::move(attrs), std::move(inputs), node_name(suffix), value_name);
}

ValueId LayerBuilder::add(OpType type, OpAttrs attrs, std::vector<ValueId> inputs, const std::string& name,
                          const std::string& output_name) {
  Graph& graph = import_.graph;
  const NodeId node = graph.add_node(type, std::move(attrs), name, std::move(inputs), output_name);
  ValueType inferred = infer_node(graph, graph.node(node));
  Value& output = graph.value(graph.output_of(node));
  output.dtype = inferred.dtype;
  output.shape = std::move(inferred.shape);
  return graph.output_of(node);
}

std::string LayerBuilder::node_name(const std::string& suffix) const {
  return suffix.empty() ? layer.name() : layer.name() + "/" + suffix;
}

/// No blob of the file may lose its name to a value that we name.
std::string LayerBuilder::spare_name(std::string wanted) const {
  while (import_.last_writer.contains(wanted)) wanted += '_';
  return wanted;
}

int64_t extent_product(const Dims& shape, size_t first, size_t last) {
  return element_count(Dims(shape.begin() + static_cast<std::ptrdiff_t>(first),
                            shape.begin() + static_cast<std::ptrdiff_t>(last)),
                       sizeof(float));
}

}  // namespace xdn

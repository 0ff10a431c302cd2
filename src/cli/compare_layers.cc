#include "cli/compare_layers.h"

#include <map>

#include "base/error.h"
#include "executor/reference.h"

namespace xdn::cli {
namespace {

using Values = std::map<std::string, Tensor>;

/// Graph inputs and the outputs of nodes, in execution order.
std::vector<ValueId> computed_values(const Graph& graph) {
  std::vector<ValueId> ids = graph.inputs();
  for (const NodeId id : graph.order()) ids.push_back(graph.node(id).output);
  return ids;
}

Tensor input_tensor(const ModelInput& model, const uint8_t* bytes, bool is_bgr) {
  const PixelMap map = model.pixel_map(is_bgr);
  const int64_t channels = model.channels, area = model.preprocess.height * model.preprocess.width;
  Tensor input(DType::kF32, {1, channels, model.preprocess.height, model.preprocess.width});
  float* dst = input.mutable_data<float>().data();
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    for (int64_t p = 0; p < area; ++p) {
      const auto byte = static_cast<float>(bytes[p * channels + map.source_channel[c]]);
      *dst++ = byte * map.scale[c] + map.shift[c];
    }
  }
  return input;
}

Values values_of(const ModelInput& model, const uint8_t* bytes, bool is_bgr) {
  try {
    const Tensor input = input_tensor(model, bytes, is_bgr);
    Values values;
    (void)run_reference(model.graph, std::span(&input, 1), &values);
    values.insert_or_assign(model.graph.value(model.graph.inputs()[0]).name, input);
    return values;
  } catch (Error& error) {
    throw error.in_file(model_file(model.spec));
  }
}

Tensor floats(const Tensor& tensor) {
  return tensor.dtype() == DType::kF32 ? tensor : tensor.converted(DType::kF32);
}

}  // namespace

LayerTable compare_layers(const ModelInput& a, const ModelInput& b, int64_t images,
                          const std::function<ImagePair(int64_t)>& image, std::atomic<int64_t>& done) {
  LayerTable table;
  std::map<std::string, ValueId> named_b;
  for (const ValueId id : computed_values(b.graph)) named_b.emplace(b.graph.value(id).name, id);
  table.values_b = named_b.size();
  for (const ValueId id : computed_values(a.graph)) {
    ++table.values_a;
    const Value& value = a.graph.value(id);
    if (const auto found = named_b.find(value.name); found != named_b.end())
      table.rows.push_back({value.name, value.shape, b.graph.value(found->second).shape, {}});
  }
  if (table.rows.empty()) return table;
  for (int64_t i = 0; i < images; ++i) {
    const ImagePair pair = image(i);
    Values values_a = values_of(a, pair.a, pair.a_is_bgr);
    ++done;
    const Values values_b = values_of(b, pair.b, pair.b_is_bgr);
    ++done;
    for (LayerRow& row : table.rows) {
      const auto of_a = values_a.extract(row.name);
      if (row.shape_a != row.shape_b) continue;
      row.errors.add(floats(of_a.mapped()).data<float>(), floats(values_b.at(row.name)).data<float>());
    }
  }
  return table;
}

}  // namespace xdn::cli

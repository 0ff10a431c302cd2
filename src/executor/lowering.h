#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/lower.h"
#include "executor/simple_steps.h"

namespace xdn {

/// One lowering in progress. Each lower_* makes the node's destination buffer and its step, or returns null
/// where the node is not of a form that has a fast kernel. lower.cc walks the graph; lower_linear.cc and
/// lower_layout.cc know the operators.
class Lowering {
 public:
  Lowering(const Graph& graph, const LowerOptions& options)
      : graph_(graph),
        options_(options),
        table_(*options.table),
        plan_(std::make_unique<Plan>()),
        buffer_of_(graph.value_count(), -1),
        users_(graph.users()) {}

  std::unique_ptr<Plan> run();

 private:
  void check_value(const Value& value, const std::string& layer) const;
  BufferId make_buffer(const Dims& shape);
  BufferId buffer_of(ValueId id) const { return buffer_of_[static_cast<size_t>(id)]; }
  void define(ValueId id, BufferId buffer) { buffer_of_[static_cast<size_t>(id)] = buffer; }
  void add(std::unique_ptr<Step> step, const Node& node);
  void lower_input();
  void lower_node(const Node& node);
  std::unique_ptr<Step> try_fast(const Node& node);
  std::unique_ptr<Step> lower_conv(const Node& node);
  std::unique_ptr<Step> lower_gemm(const Node& node);
  std::unique_ptr<Step> lower_binary(const Node& node, kernels::BinaryKind kind);
  std::unique_ptr<Step> lower_batchnorm(const Node& node);
  std::unique_ptr<Step> lower_slice(const Node& node);
  std::unique_ptr<Step> lower_pad(const Node& node);
  std::unique_ptr<Step> lower_reshape(const Node& node);
  bool lower_concat(const Node& node);
  std::unique_ptr<Step> lower_fallback(const Node& node);
  const float* floats(ValueId id) const { return graph_.constant(id).data<float>().data(); }
  bool on_map(ValueId id) const { return graph_.value(id).shape.size() == 4; }
  const Dims& shape(ValueId id) const { return graph_.value(id).shape; }
  void finish();

  const Graph& graph_;
  const LowerOptions& options_;
  const kernels::KernelTable& table_;
  std::unique_ptr<Plan> plan_;
  std::vector<BufferId> buffer_of_;  ///< by value
  std::vector<std::vector<NodeId>> users_;
  ValueId input_ = kNoValue;
  bool pixels_pending_ = false;  ///< the input has no buffer: its only reader, a convolution, takes the bytes
};

}  // namespace xdn

#include <set>

#include "graph/infer_internal.h"

namespace xdn {
namespace {

using infer::require;
using infer::text;

class Verifier {
 public:
  explicit Verifier(const Graph& graph) : graph_(graph), defined_(graph.value_count(), false) {}

  void run() {
    for (const ValueId id : graph_.inputs()) graph_input(id);
    for (ValueId id = 0; static_cast<size_t>(id) < graph_.value_count(); ++id) constant(id);
    std::set<NodeId> nodes;
    for (const NodeId id : graph_.order()) {
      const Node& node = graph_.node(id);
      require(nodes.insert(id).second, [&] { return std::string("a node stands twice in the order"); });
      require(node.alive, [&] { return std::string("an erased node stands in the order"); });
      require(exists(node.output), [&] { return std::string("a node has no output"); });
      try {
        visit(id, node);
      } catch (Error& error) {
        throw error.in_layer(layer_name(graph_, node));
      }
    }
    require(!graph_.outputs().empty(), [&] { return std::string("the graph has no outputs"); });
    for (const ValueId id : graph_.outputs()) {
      require(exists(id) && defined_[static_cast<size_t>(id)], [&] {
        return "graph output " + (exists(id) ? "'" + name(id) + "'" : text(static_cast<int64_t>(id))) +
               " is computed by no node";
      });
      use_name(id);
    }
  }

 private:
  bool exists(ValueId id) const { return id >= 0 && static_cast<size_t>(id) < graph_.value_count(); }
  std::string name(ValueId id) const { return printable(graph_.value(id).name); }

  void define(ValueId id) {
    require(!defined_[static_cast<size_t>(id)], [&] { return "value '" + name(id) + "' is defined twice"; });
    defined_[static_cast<size_t>(id)] = true;
  }

  /// Names must differ among values that are used, and stay with their value.
  void use_name(ValueId id) {
    require(!graph_.value(id).name.empty(), [&] { return std::string("a value has no name"); });
    const auto [it, fresh] = names_.try_emplace(graph_.value(id).name, id);
    require(fresh || it->second == id, [&] { return "two values have the name '" + name(id) + "'"; });
  }

  void graph_input(ValueId id) {
    require(exists(id), [&] { return std::string("a graph input does not exist"); });
    const Value& value = graph_.value(id);
    require(value.producer == kNoNode && !value.constant,
            [&] { return "graph input '" + name(id) + "' has a definition besides"; });
    for (const int64_t extent : value.shape) {
      require(extent >= 0 || extent == kBatch, [&] {
        return "graph input '" + name(id) + "' has a negative extent in shape " + text(value.shape);
      });
    }
    define(id);
    use_name(id);
  }

  void constant(ValueId id) {
    const Value& value = graph_.value(id);
    if (!value.constant) return;
    require(value.producer == kNoNode, [&] { return "constant '" + name(id) + "' has a producer"; });
    require(value.constant->dims() == value.shape && value.constant->dtype() == value.dtype, [&] {
      return "constant '" + name(id) + "' has shape " + text(value.constant->dims()) +
             ", but is declared as " + text(value.shape) + ", or their element types differ";
    });
    define(id);
  }

  void visit(NodeId id, const Node& node) {
    check_node_signature(node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (input == kNoValue) continue;
      require(exists(input), [&] { return "input " + text(i) + " does not exist"; });
      require(defined_[static_cast<size_t>(input)],
              [&] { return "input " + text(i) + ", '" + name(input) + "', is not computed before its use"; });
      use_name(input);
    }
    const Value& out = graph_.value(node.output);
    require(out.producer == id, [&] { return "value '" + name(node.output) + "' names another producer"; });
    require(!out.constant, [&] { return "value '" + name(node.output) + "' is a constant with a producer"; });
    define(node.output);
    use_name(node.output);
    const ValueType type = infer_node(graph_, node);
    require(out.dtype == type.dtype && out.shape == type.shape, [&] {
      return "the output is declared as " + std::string(dtype_name(out.dtype)) + text(out.shape) +
             ", but is " + std::string(dtype_name(type.dtype)) + text(type.shape);
    });
  }

  const Graph& graph_;
  std::vector<bool> defined_;
  std::map<std::string, ValueId> names_;
};

}  // namespace

void verify(const Graph& graph) { Verifier(graph).run(); }

}  // namespace xdn

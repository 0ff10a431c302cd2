#pragma once

#include <string>

#include "base/error.h"
#include "graph/graph.h"

namespace xdn::infer {

/// More axes than any model has; bounds the work per shape.
inline constexpr size_t kMaxRank = 16;

/// One node's inputs by position; absent ones must be asked for with has().
struct Inputs {
  const Graph& graph;
  const Node& node;

  size_t count() const { return node.inputs.size(); }
  bool has(size_t i) const { return node.input(i) != kNoValue; }
  const Value& value(size_t i) const { return graph.value(node.inputs[i]); }
  const Dims& shape(size_t i) const { return value(i).shape; }
  DType dtype(size_t i) const { return value(i).dtype; }
};

/// Throws input_error(message) unless condition. The message is built only when needed.
template <class Message>
void require(bool condition, Message&& message) {
  if (!condition) throw input_error(message());
}

inline std::string text(int64_t value) { return std::to_string(value); }
inline std::string text(size_t value) { return std::to_string(value); }
inline std::string text(const Dims& dims) { return to_string(dims); }

/// "... cannot be expressed with a free batch dimension".
Error batch_error(const std::string& what);
/// Throws unless rank is within [least, most].
void require_rank(const Inputs& in, size_t i, const char* what, size_t least, size_t most);
/// The extent of an axis that must be known: not the free batch.
int64_t fixed_extent(const Dims& shape, size_t axis, const char* what);
size_t checked_axis(int64_t axis, size_t rank, const char* what);
/// Throws unless the element types of inputs 0 and i are equal.
void require_same_dtype(const Inputs& in, size_t i);
/// Of numpy broadcasting; the free batch broadcasts with 1 and equals itself.
Dims broadcast(const Dims& a, const Dims& b);
/// Throws unless `from` broadcasts to exactly `to`.
void require_broadcasts_to(const Dims& from, const Dims& to, const char* what);

// infer_window.cc
Dims conv(const Inputs& in);
Dims pool(const Inputs& in);
Dims global_pool(const Inputs& in);
Dims batch_norm(const Inputs& in);
Dims lrn(const Inputs& in);

// infer_shape_ops.cc
Dims reshape(const Inputs& in);
Dims flatten(const Inputs& in);
Dims transpose(const Inputs& in);
Dims concat(const Inputs& in);
Dims slice(const Inputs& in);
Dims pad(const Inputs& in);
Dims gather(const Inputs& in);
Dims reduce(const Inputs& in);

}  // namespace xdn::infer

namespace xdn {

/// Throws unless the attributes are of the operator's type and the number of inputs fits.
void check_node_signature(const Node& node);

}  // namespace xdn

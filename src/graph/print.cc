#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <set>
#include <type_traits>

#include "graph/text_form.h"

namespace xdn {
namespace text_form {

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      constexpr const char* kHex = "0123456789abcdef";
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string reference(const std::string& name) {
  bool bare = !name.empty();
  for (const char c : name) bare = bare && is_bare(c);
  return "%" + (bare ? name : quoted(name));
}

std::string type(DType dtype, const Dims& shape) { return std::string(dtype_name(dtype)) + to_string(shape); }

namespace {

/// The shortest decimal that reads back as the same number.
template <class T>
std::string number(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return number(static_cast<float>(value));
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "1" : "0";
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (std::isnan(value)) return "nan";
    }
    char buffer[40];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
    return std::string(buffer, end);
  }
}

std::string list(const Dims& values, bool is_shape = false) {
  if (is_shape) return to_string(values);
  std::string out = "[";
  for (size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ",") + std::to_string(values[i]);
  return out + "]";
}

struct AttributeWriter {
  std::vector<std::pair<std::string, std::string>>& out;

  void operator()(const char* name, const Window& window) {
    const size_t axes = window.kernel.size();
    const Dims ones(axes, 1), zeros(axes, 0);
    const auto add = [&](const char* key, const Dims& values, const Dims& usual) {
      if (values != usual) out.emplace_back(key, list(values));
    };
    (void)name;
    add("kernel", window.kernel, {});
    add("strides", window.strides, ones);
    add("dilations", window.dilations, ones);
    add("pads_begin", window.pads_begin, zeros);
    add("pads_end", window.pads_end, zeros);
  }
  void operator()(const char* name, const Activation& act) {
    std::string text = kActNames[static_cast<size_t>(act.kind)];
    if (act.kind == ActKind::kLeakyRelu) text += "(" + number(act.a) + ")";
    if (act.kind == ActKind::kClip) text += "(" + number(act.a) + "," + number(act.b) + ")";
    out.emplace_back(name, text);
  }
  void operator()(const char* name, const Dims& values) {
    out.emplace_back(name, list(values, std::strcmp(name, "shape") == 0));
  }
  void operator()(const char* name, bool value) { out.emplace_back(name, value ? "true" : "false"); }
  void operator()(const char* name, int64_t value) { out.emplace_back(name, number(value)); }
  void operator()(const char* name, float value) { out.emplace_back(name, number(value)); }
  void operator()(const char* name, DType value) { out.emplace_back(name, std::string(dtype_name(value))); }
  void operator()(const char* name, PadMode value) {
    out.emplace_back(name, kPadModeNames[static_cast<size_t>(value)]);
  }
};

std::vector<std::pair<std::string, std::string>> all_attributes(const OpAttrs& attrs) {
  std::vector<std::pair<std::string, std::string>> out;
  std::visit(
      [&](const auto& fields) {
        AttributeWriter writer{out};
        std::decay_t<decltype(fields)>::visit(fields, writer);
      },
      attrs);
  return out;
}

/// FNV-1a, 64 bits.
std::string checksum(const Tensor& tensor) {
  uint64_t hash = 0xcbf29ce484222325u;
  const auto* bytes = static_cast<const unsigned char*>(tensor.raw());
  for (size_t i = 0; i < tensor.bytes(); ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  char buffer[16];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, hash, 16).ptr;
  return std::string(buffer, end);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> attributes(const Node& node) {
  auto out = all_attributes(node.attrs);
  const auto usual = all_attributes(op_info(node.type).default_attrs);
  std::erase_if(out, [&](const auto& attribute) {
    return std::find(usual.begin(), usual.end(), attribute) != usual.end();
  });
  return out;
}

}  // namespace text_form

std::string print_constant(const Tensor& tensor, int64_t most_values) {
  std::string out = text_form::type(tensor.dtype(), tensor.dims()) + " ";
  dispatch_dtype(tensor.dtype(), [&]<class T>() {
    const auto values = tensor.data<T>();
    const auto* bytes = static_cast<const char*>(tensor.raw());
    if (tensor.size() <= most_values || values.empty()) {
      out += "[";
      for (size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ", ") + text_form::number(values[i]);
      out += "]";
    } else if (std::memcmp(bytes, bytes + sizeof(T), tensor.bytes() - sizeof(T)) == 0) {
      out += "fill(" + text_form::number(values[0]) + ")";
    } else {
      out += "checksum(" + text_form::checksum(tensor) + ")";
    }
  });
  return out;
}

std::string print(const Graph& graph, int64_t most_values) {
  using text_form::quoted;
  using text_form::reference;
  const auto name = [&](ValueId id) {
    return id == kNoValue ? std::string("none") : reference(graph.value(id).name);
  };
  std::set<ValueId> constants;
  const auto use = [&](ValueId id) {
    if (graph.is_constant(id)) constants.insert(id);
  };
  for (const NodeId id : graph.order()) {
    for (const ValueId input : graph.node(id).inputs) use(input);
  }
  for (const ValueId id : graph.outputs()) use(id);

  std::string out = "graph " + (graph.name.empty() ? "" : quoted(graph.name) + " ") + "{\n";
  for (const auto& [key, value] : graph.metadata)
    out += "  metadata " + quoted(key) + " = " + quoted(value) + "\n";
  for (const ValueId id : graph.inputs()) {
    out += "  input " + name(id) + " " + text_form::type(graph.value(id).dtype, graph.value(id).shape) + "\n";
  }
  for (const ValueId id : constants) {
    out += "  const " + name(id) + " " + print_constant(graph.constant(id), most_values) + "\n";
  }
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const Value& result = graph.value(node.output);
    out += "  " + name(node.output) + " = " + std::string(op_info(node.type).name) + "(";
    for (size_t i = 0; i < node.inputs.size(); ++i) out += (i == 0 ? "" : ", ") + name(node.inputs[i]);
    out += ")";
    for (const auto& [key, value] : text_form::attributes(node)) out += " " + key + "=" + value;
    if (node.name != result.name) out += " " + quoted(node.name);
    out += " " + text_form::type(result.dtype, result.shape) + "\n";
  }
  for (const ValueId id : graph.outputs()) out += "  output " + name(id) + "\n";
  return out + "}\n";
}

std::string print_dot(const Graph& graph) {
  using text_form::quoted;
  // Values that are computed or fed are drawn, as "v" and their id; constants appear in their readers'
  // labels.
  const auto vertex = [](ValueId id) { return "v" + std::to_string(id); };
  std::string out = "digraph " + quoted(graph.name) + " {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  const auto label = [&](ValueId id, const std::string& text, const char* style) {
    const Value& value = graph.value(id);
    out += "  " + vertex(id) + " [label=" + quoted(text + " " + text_form::type(value.dtype, value.shape)) +
           style + "];\n";
  };
  for (const ValueId id : graph.inputs()) label(id, graph.value(id).name, ", shape=ellipse");
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    std::string text = layer_name(graph, node) + ": " + std::string(op_info(node.type).name);
    for (const auto& [key, value] : text_form::attributes(node)) text += " " + key + "=" + value;
    std::string edges;
    for (const ValueId input : node.inputs) {
      if (input == kNoValue) continue;
      if (graph.is_constant(input)) {
        text += " " + to_string(graph.value(input).shape);
      } else {
        edges += "  " + vertex(input) + " -> " + vertex(node.output) + ";\n";
      }
    }
    label(node.output, text + " ->", graph.is_output(node.output) ? ", style=bold" : "");
    out += edges;
  }
  return out + "}\n";
}

}  // namespace xdn

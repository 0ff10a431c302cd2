#include <algorithm>
#include <set>

#include "graph/infer_internal.h"
#include "graph/scanner.h"

namespace xdn {
namespace {

using text_form::Scanner;

/// Bounds what a few bytes of text (random, fill, iota) may allocate.
constexpr int64_t kMostConstantBytes = int64_t{1} << 30;

/// Assigns the attribute `key`, whose text comes next, to the field of that name.
struct AttributeReader {
  Scanner& in;
  const std::string& key;
  bool found = false;

  template <class T>
  void operator()(const char* name, T& field) {
    if (key != name) return;
    found = true;
    read(field);
  }
  void operator()(const char*, Window& window) {
    (*this)("kernel", window.kernel);
    (*this)("strides", window.strides);
    (*this)("dilations", window.dilations);
    (*this)("pads_begin", window.pads_begin);
    (*this)("pads_end", window.pads_end);
  }

 private:
  void read(int64_t& field) { field = in.number<int64_t>(); }
  void read(float& field) { field = in.number<float>(); }
  void read(bool& field) { field = in.boolean(); }
  void read(Dims& field) { field = in.list(key == "shape"); }
  void read(DType& field) { field = in.dtype(); }
  void read(PadMode& field) { field = static_cast<PadMode>(choice(text_form::kPadModeNames)); }
  void read(Activation& field) {
    field = {};
    field.kind = static_cast<ActKind>(choice(text_form::kActNames));
    if (field.kind != ActKind::kLeakyRelu && field.kind != ActKind::kClip) return;
    in.expect('(');
    field.a = in.number<float>();
    if (field.kind == ActKind::kClip) {
      in.expect(',');
      field.b = in.number<float>();
    }
    in.expect(')');
  }
  template <size_t n>
  size_t choice(const char* const (&names)[n]) {
    const std::string text = in.expect_word(key.c_str());
    const auto at = std::find(std::begin(names), std::end(names), text);
    if (at == std::end(names)) in.fail("unknown " + key + " '" + printable(text) + "'");
    return static_cast<size_t>(at - std::begin(names));
  }
};

/// Lists of a window that were not given: strides and dilations 1, pads 0.
struct WindowDefaults {
  const std::set<std::string>& given;

  template <class T>
  void operator()(const char*, T&) {}
  void operator()(const char*, Window& window) {
    const auto fill = [&](const char* name, Dims& list, int64_t value) {
      if (!given.contains(name)) list.assign(window.kernel.size(), value);
    };
    fill("strides", window.strides, 1);
    fill("dilations", window.dilations, 1);
    fill("pads_begin", window.pads_begin, 0);
    fill("pads_end", window.pads_end, 0);
  }
};

/// splitmix64
uint64_t next_random(uint64_t& state) {
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// Floating-point types: uniform in [-1, 1), multiples of 2^-23. Integers: any value of the low 7 bits,
/// signed types from -64 to 63.
template <class T>
T random_value(uint64_t& state) {
  const uint64_t bits = next_random(state) >> 40;
  const float unit = static_cast<float>(static_cast<int64_t>(bits) - (int64_t{1} << 23)) * 0x1p-23f;
  if constexpr (std::is_same_v<T, bool>) {
    return (bits & 1) != 0;
  } else if constexpr (std::is_integral_v<T>) {
    const auto low = static_cast<int>(bits & 127);
    return static_cast<T>(std::is_signed_v<T> ? low - 64 : low);
  } else {
    return T(unit);
  }
}

template <class T>
T counting_value(size_t i) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(i));
  } else {
    return static_cast<T>(i);
  }
}

class Parser {
 public:
  explicit Parser(const std::string& text) : in_(text) {}

  Graph run() {
    if (in_.expect_word("'graph'") != "graph") in_.fail("expected the text to begin with 'graph'");
    if (in_.peek() == '"') graph_.name = in_.string();
    in_.expect('{');
    while (!in_.accept('}')) statement();
    if (!in_.at_end()) in_.fail("expected nothing after the closing brace, but found " + in_.found());
    graph_.set_outputs(outputs_);
    verify(graph_);
    return std::move(graph_);
  }

 private:
  void statement() {
    if (in_.peek() == '%') return node();
    const std::string keyword = in_.expect_word("a statement or '}'");
    if (keyword == "input") {
      const std::string name = new_name();
      const auto [dtype, shape] = type();
      if (std::count(shape.begin(), shape.end(), kBatch) > 1)
        in_.fail("the free batch dimension N stands twice");
      graph_.add_input(name, dtype, shape);
    } else if (keyword == "const") {
      const std::string name = new_name();
      graph_.add_constant(name, constant());
    } else if (keyword == "output") {
      outputs_.push_back(known_value());
    } else if (keyword == "metadata") {
      std::string key = in_.string();
      in_.expect('=');
      if (!graph_.metadata.emplace(key, in_.string()).second)
        in_.fail("metadata " + printable(key) + " stands twice");
    } else {
      in_.fail("unknown statement '" + printable(keyword) + "'");
    }
  }

  std::string new_name() {
    std::string name = in_.reference();
    if (name.empty()) in_.fail("a name must not be empty");
    if (graph_.find_value(name)) in_.fail("%" + printable(name) + " is defined twice");
    return name;
  }

  ValueId known_value() {
    const std::string name = in_.reference();
    const auto id = graph_.find_value(name);
    if (!id) in_.fail("%" + printable(name) + " is not defined above");
    return *id;
  }

  ValueType type() {
    const DType dtype = in_.dtype();
    Dims shape = in_.list(true);
    if (shape.size() > infer::kMaxRank)
      in_.fail("a shape of more than " + infer::text(infer::kMaxRank) + " axes");
    return {dtype, std::move(shape)};
  }

  Tensor constant() {
    const auto [dtype, shape] = type();
    if (std::count(shape.begin(), shape.end(), kBatch) != 0)
      in_.fail("a constant has no free batch dimension");
    const size_t line = in_.line();
    int64_t bytes = 0;
    try {
      bytes = element_count(shape, dtype_size(dtype)) * static_cast<int64_t>(dtype_size(dtype));
    } catch (const Error& error) {
      throw input_error("line " + infer::text(line) + ": " + error.message());
    }
    if (bytes > kMostConstantBytes - constant_bytes_) in_.fail("constants of more than 1 GiB in all");
    constant_bytes_ += bytes;
    Tensor tensor(dtype, shape);
    dispatch_dtype(dtype, [&]<class T>() { fill(tensor.mutable_data<T>()); });
    return tensor;
  }

  template <class T>
  void fill(std::span<T> values) {
    if (in_.accept('[')) {
      for (size_t i = 0; i < values.size(); ++i) {
        if (i != 0 && !in_.accept(',')) {
          in_.fail("expected " + infer::text(values.size()) + " values, but there are " + infer::text(i));
        }
        values[i] = in_.number<T>();
      }
      if (!in_.accept(']'))
        in_.fail("expected ']' after " + infer::text(values.size()) + " values, but found " + in_.found());
      return;
    }
    const std::string generator = in_.expect_word("values in brackets, random(seed), fill(value) or iota");
    if (generator == "random") {
      in_.expect('(');
      auto state = in_.number<uint64_t>();
      in_.expect(')');
      for (T& value : values) value = random_value<T>(state);
    } else if (generator == "fill") {
      in_.expect('(');
      const T value = in_.number<T>();
      in_.expect(')');
      std::fill(values.begin(), values.end(), value);
    } else if (generator == "iota") {
      for (size_t i = 0; i < values.size(); ++i) values[i] = counting_value<T>(i);
    } else if (generator == "checksum") {
      in_.fail("the values of this constant were not printed, only their checksum");
    } else {
      in_.fail("expected values in brackets, random(seed), fill(value) or iota, but found '" +
               printable(generator) + "'");
    }
  }

  void node() {
    const std::string name = new_name();
    const size_t line = in_.line();
    in_.expect('=');
    const std::string op = in_.expect_word("an operator");
    const auto op_type = parse_op(op);
    if (!op_type) in_.fail("unknown operator '" + printable(op) + "'");
    std::vector<ValueId> inputs;
    in_.expect('(');
    if (!in_.accept(')')) {
      do {
        inputs.push_back(optional_value());
      } while (in_.accept(','));
      in_.expect(')');
    }
    OpAttrs attrs = op_info(*op_type).default_attrs;
    read_attributes(op, attrs);
    const std::string node_name = in_.peek() == '"' ? in_.string() : name;
    const NodeId id = graph_.add_node(*op_type, std::move(attrs), node_name, std::move(inputs), name);
    try {
      ValueType inferred = infer_node(graph_, graph_.node(id));
      if (!in_.look_ahead().first.empty() && in_.look_ahead().second == '[') {
        const ValueType written = type();
        if (written.dtype != inferred.dtype || written.shape != inferred.shape) {
          throw input_error("the result is " + text_form::type(inferred.dtype, inferred.shape) + ", not " +
                            text_form::type(written.dtype, written.shape));
        }
      }
      Value& result = graph_.value(graph_.output_of(id));
      result.dtype = inferred.dtype;
      result.shape = std::move(inferred.shape);
    } catch (const Error& error) {
      const std::string where = "line ";
      if (error.message().starts_with(where)) throw;
      throw input_error(where + infer::text(line) + ": " + error.message()).in_layer(node_name);
    }
  }

  ValueId optional_value() {
    if (in_.peek() == '%') return known_value();
    if (in_.expect_word("a value or 'none'") != "none") in_.fail("expected a value or 'none'");
    return kNoValue;
  }

  void read_attributes(const std::string& op, OpAttrs& attrs) {
    std::set<std::string> given;
    while (in_.look_ahead().second == '=' && !in_.look_ahead().first.empty()) {
      const std::string key = in_.word();
      in_.expect('=');
      if (!given.insert(key).second) in_.fail("attribute " + key + " stands twice");
      AttributeReader reader{in_, key};
      std::visit([&](auto& fields) { std::decay_t<decltype(fields)>::visit(fields, reader); }, attrs);
      if (!reader.found) in_.fail(op + " has no attribute '" + printable(key) + "'");
    }
    WindowDefaults defaults{given};
    std::visit([&](auto& fields) { std::decay_t<decltype(fields)>::visit(fields, defaults); }, attrs);
  }

  Scanner in_;
  Graph graph_;
  std::vector<ValueId> outputs_;
  int64_t constant_bytes_ = 0;
};

}  // namespace

Graph parse_graph(const std::string& text) { return Parser(text).run(); }

}  // namespace xdn

#include "training/architectures.h"

#include <cmath>

#include "base/error.h"
#include "training/random.h"

namespace xdn::training {
namespace {

constexpr int64_t kCifarSide = 64;  ///< the largest image that meets a CIFAR stem
constexpr int64_t kLeastSide = 8;

enum class Act { kNone, kRelu, kRelu6 };

/// A value and its channels.
struct Map {
  ValueId id = kNoValue;
  int64_t channels = 0;
};

struct ConvForm {
  int64_t kernel = 1, stride = 1, group = 1;
  Act act = Act::kRelu;
};

class Builder {
 public:
  explicit Builder(const ArchitectureOptions& options) : options_(options) {}

  int64_t size() const { return options_.size; }
  bool small() const { return options_.size <= kCifarSide; }

  Map input() {
    return {graph_.add_input("input", DType::kF32, {kBatch, 3, options_.size, options_.size}), 3};
  }

  /// Conv, BatchNorm and the activation, in layers NAME, NAME.bn and NAME.act.
  Map conv(Map x, int64_t channels, const ConvForm& form, const std::string& name) {
    ConvAttrs attrs;
    const int64_t pad = form.kernel / 2;
    attrs.window = {{form.kernel, form.kernel}, {form.stride, form.stride}, {1, 1}, {pad, pad}, {pad, pad}};
    attrs.group = form.group;
    const Dims dims{channels, x.channels / form.group, form.kernel, form.kernel};
    const auto fan_out = static_cast<double>(channels / form.group * form.kernel * form.kernel);
    Tensor weights(DType::kF32, dims);
    Random random = next_random();
    for (float& w : weights.mutable_data<float>())
      w = static_cast<float>(random.normal() * std::sqrt(2 / fan_out));
    const ValueId w = graph_.add_constant(name + ".weight", std::move(weights));
    return norm({add(OpType::kConv, attrs, name, {x.id, w}), channels}, form.act, name);
  }

  Map sum(Map a, Map b, Act kind, const std::string& name) {
    return act({add(OpType::kAdd, NoAttrs{}, name, {a.id, b.id}), a.channels}, kind, name);
  }

  Map max_pool(Map x) {
    PoolAttrs attrs;
    attrs.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
    return {add(OpType::kMaxPool, attrs, "pool", {x.id}), x.channels};
  }

  Graph classifier(Map x, const std::string& name) {
    const ValueId pooled = add(OpType::kGlobalAveragePool, NoAttrs{}, "avgpool", {x.id});
    const ValueId flat = add(OpType::kFlatten, FlattenAttrs{}, "flatten", {pooled});
    Tensor weights(DType::kF32, {options_.classes, x.channels});
    const double bound = 1 / std::sqrt(static_cast<double>(x.channels));
    Random random = next_random();
    for (float& w : weights.mutable_data<float>()) w = static_cast<float>((2 * random.uniform() - 1) * bound);
    const ValueId w = graph_.add_constant(name + ".weight", std::move(weights));
    const ValueId b = graph_.add_constant(name + ".bias", Tensor(DType::kF32, {options_.classes}));
    GemmAttrs attrs;
    attrs.trans_b = true;
    graph_.set_outputs({add(OpType::kGemm, attrs, name, {flat, w, b})});
    graph_.name = name_;
    infer_shapes(graph_);
    verify(graph_);
    return std::move(graph_);
  }
  void set_name(const std::string& name) { name_ = name; }

 private:
  Random next_random() { return Random(options_.seed, 0, tensors_++); }

  Map norm(Map x, Act kind, const std::string& name) {
    const auto constant = [&](const char* what, float value) {
      Tensor tensor(DType::kF32, {x.channels});
      for (float& v : tensor.mutable_data<float>()) v = value;
      return graph_.add_constant(name + ".bn." + what, std::move(tensor));
    };
    const ValueId y = add(OpType::kBatchNorm, BatchNormAttrs{}, name + ".bn",
                          {x.id, constant("weight", 1), constant("bias", 0), constant("running_mean", 0),
                           constant("running_var", 1)});
    return act({y, x.channels}, kind, name);
  }

  Map act(Map x, Act kind, const std::string& name) {
    if (kind == Act::kNone) return x;
    if (kind == Act::kRelu) return {add(OpType::kRelu, NoAttrs{}, name + ".act", {x.id}), x.channels};
    ClipAttrs clip;
    clip.min = 0;
    clip.max = 6;
    return {add(OpType::kClip, clip, name + ".act", {x.id}), x.channels};
  }

  ValueId add(OpType type, OpAttrs attrs, const std::string& name, std::vector<ValueId> inputs) {
    return graph_.output_of(graph_.add_node(type, std::move(attrs), name, std::move(inputs), name));
  }

  const ArchitectureOptions options_;
  Graph graph_;
  std::string name_;
  uint64_t tensors_ = 0;
};

Map basic_branch(Builder& net, Map x, int64_t channels, int64_t stride, const std::string& name) {
  x = net.conv(x, channels, {.kernel = 3, .stride = stride}, name + ".conv1");
  return net.conv(x, channels, {.kernel = 3, .act = Act::kNone}, name + ".conv2");
}

Map bottleneck_branch(Builder& net, Map x, int64_t channels, int64_t stride, const std::string& name) {
  const int64_t middle = channels / 4;
  x = net.conv(x, middle, {}, name + ".conv1");
  x = net.conv(x, middle, {.kernel = 3, .stride = stride}, name + ".conv2");
  return net.conv(x, channels, {.act = Act::kNone}, name + ".conv3");
}

struct ResNet {
  std::vector<int64_t> blocks;
  bool bottleneck = false;
  int64_t stem = 64;  ///< channels; those of the first stage, too, before a bottleneck's expansion
  bool cifar = false;
};

Graph resnet(Builder net, const ResNet& form) {
  const bool cifar_stem = form.cifar || net.small();
  Map x =
      net.conv(net.input(), form.stem, {.kernel = cifar_stem ? 3 : 7, .stride = cifar_stem ? 1 : 2}, "conv1");
  if (!cifar_stem) x = net.max_pool(x);
  int64_t channels = form.stem * (form.bottleneck ? 4 : 1);
  for (size_t stage = 0; stage < form.blocks.size(); ++stage, channels *= 2) {
    for (int64_t i = 0; i < form.blocks[stage]; ++i) {
      const std::string name = "layer" + std::to_string(stage + 1) + "." + std::to_string(i);
      const int64_t stride = i == 0 && stage > 0 ? 2 : 1;
      const Map branch = (form.bottleneck ? bottleneck_branch : basic_branch)(net, x, channels, stride, name);
      Map shortcut = x;
      if (stride != 1 || x.channels != channels) {
        shortcut = net.conv(x, channels, {.stride = stride, .act = Act::kNone}, name + ".downsample");
      }
      x = net.sum(branch, shortcut, Act::kRelu, name + ".add");
    }
  }
  return net.classifier(x, "fc");
}

Graph mobilenetv2(Builder net, const ResNet&) {
  struct Stage {
    int64_t expansion, channels, count, stride;
  };
  const int64_t early = net.small() ? 1 : 2;
  const Stage stages[] = {{1, 16, 1, 1}, {6, 24, 2, early}, {6, 32, 3, 2}, {6, 64, 4, 2},
                          {6, 96, 3, 1}, {6, 160, 3, 2},    {6, 320, 1, 1}};
  Map x = net.conv(net.input(), 32, {.kernel = 3, .stride = early, .act = Act::kRelu6}, "stem");
  int block = 0;
  for (const Stage& stage : stages) {
    for (int64_t i = 0; i < stage.count; ++i) {
      const std::string name = "block" + std::to_string(++block);
      const int64_t stride = i == 0 ? stage.stride : 1, wide = x.channels * stage.expansion;
      Map y = x;
      if (stage.expansion != 1) y = net.conv(y, wide, {.act = Act::kRelu6}, name + ".expand");
      y = net.conv(y, wide, {.kernel = 3, .stride = stride, .group = wide, .act = Act::kRelu6},
                   name + ".depthwise");
      y = net.conv(y, stage.channels, {.act = Act::kNone}, name + ".project");
      x = stride == 1 && x.channels == stage.channels ? net.sum(y, x, Act::kNone, name + ".add") : y;
    }
  }
  return net.classifier(net.conv(x, 1280, {.act = Act::kRelu6}, "head"), "fc");
}

struct Architecture {
  const char* name;
  Graph (*build)(Builder, const ResNet&);
  ResNet form;
};

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> all = {
      {"resnet20", resnet, {.blocks = {3, 3, 3}, .stem = 16, .cifar = true}},
      {"resnet56", resnet, {.blocks = {9, 9, 9}, .stem = 16, .cifar = true}},
      {"resnet110", resnet, {.blocks = {18, 18, 18}, .stem = 16, .cifar = true}},
      {"resnet18", resnet, {.blocks = {2, 2, 2, 2}}},
      {"resnet34", resnet, {.blocks = {3, 4, 6, 3}}},
      {"resnet50", resnet, {.blocks = {3, 4, 6, 3}, .bottleneck = true}},
      {"resnet101", resnet, {.blocks = {3, 4, 23, 3}, .bottleneck = true}},
      {"mobilenetv2", mobilenetv2, {.blocks = {}}},
  };
  return all;
}

}  // namespace

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Architecture& architecture : architectures()) names.emplace_back(architecture.name);
  return names;
}

Graph build_architecture(const std::string& name, const ArchitectureOptions& options) {
  if (options.classes < 2) {
    throw input_error("expected at least 2 classes, got " + std::to_string(options.classes));
  }
  if (options.size < kLeastSide) {
    throw input_error("expected images of at least " + std::to_string(kLeastSide) + " pixels a side, got " +
                      std::to_string(options.size));
  }
  for (const Architecture& architecture : architectures()) {
    if (name != architecture.name) continue;
    Builder builder(options);
    builder.set_name(name);
    return architecture.build(std::move(builder), architecture.form);
  }
  throw input_error("'" + printable(name) + "' is no architecture");
}

}  // namespace xdn::training

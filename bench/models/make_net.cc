// Well-known networks with random weights, for measuring speed: make_net resnet50 --size 224 -o
// resnet50_224.onnx. Convolutions have a bias and no BatchNorm behind them, as trainers export them.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <random>

#include "base/error.h"
#include "data/preprocess.h"
#include "formats/model_io.h"
#include "graph/graph.h"

namespace {

using namespace xdn;

/// A value and its channels.
struct Map {
  ValueId id;
  int64_t channels;
};

enum class Act { kNone, kRelu, kRelu6 };

struct ConvForm {
  int64_t kernel = 1, stride = 1, group = 1;
  Act act = Act::kNone;
  double gain = 1;  ///< on the variance-keeping scale
};

class NetWriter {
 public:
  Graph graph;

  Map input(int64_t size) { return {graph.add_input("input", DType::kF32, {kBatch, 3, size, size}), 3}; }

  Map conv(Map x, int64_t channels, const ConvForm& form) {
    const std::string name = fmt::format("conv{}", ++convolutions_);
    const int64_t depth = x.channels / form.group, pad = form.kernel / 2;
    const double fan_in = static_cast<double>(depth * form.kernel * form.kernel);
    const ValueId w = graph.add_constant(name + ".weight", random({channels, depth, form.kernel, form.kernel},
                                                                  form.gain * std::sqrt(2 / fan_in)));
    const ValueId b = graph.add_constant(name + ".bias", random({channels}, 0.1));
    ConvAttrs attrs;
    attrs.window = {{form.kernel, form.kernel}, {form.stride, form.stride}, {1, 1}, {pad, pad}, {pad, pad}};
    attrs.group = form.group;
    return act({add(OpType::kConv, attrs, name, {x.id, w, b}), channels}, form.act);
  }

  Map act(Map x, Act kind) {
    if (kind == Act::kNone) return x;
    const std::string name = graph.value(x.id).name + ".act";
    if (kind == Act::kRelu) return {add(OpType::kRelu, NoAttrs{}, name, {x.id}), x.channels};
    return {add(OpType::kClip, ClipAttrs{0, 6}, name, {x.id}), x.channels};
  }

  Map sum(Map a, Map b, Act kind) {
    const std::string name = fmt::format("add{}", ++sums_);
    return act({add(OpType::kAdd, NoAttrs{}, name, {a.id, b.id}), a.channels}, kind);
  }

  /// Every second position, and zero channels around: what a residual network for CIFAR has for a projection.
  Map subsample(Map x, int64_t channels, int64_t size) {
    const std::string name = fmt::format("shortcut{}", ++sums_);
    const ValueId half =
        add(OpType::kSlice, SliceAttrs{{2, 3}, {0, 0}, {size, size}, {2, 2}}, name + ".slice", {x.id});
    const int64_t more = (channels - x.channels) / 2;
    return {add(OpType::kPad, PadAttrs{PadMode::kConstant, {0, more, 0, 0}, {0, more, 0, 0}, 0},
                name + ".pad", {half}),
            channels};
  }

  Map max_pool(Map x) {
    PoolAttrs attrs;
    attrs.window = {{3, 3}, {2, 2}, {1, 1}, {1, 1}, {1, 1}};
    return {add(OpType::kMaxPool, attrs, "maxpool", {x.id}), x.channels};
  }

  Graph classifier(Map x, int64_t classes) {
    const ValueId pooled = add(OpType::kGlobalAveragePool, NoAttrs{}, "avgpool", {x.id});
    const ValueId flat = add(OpType::kFlatten, FlattenAttrs{}, "flatten", {pooled});
    const double scale = 1 / std::sqrt(static_cast<double>(x.channels));
    const ValueId w = graph.add_constant("fc.weight", random({classes, x.channels}, scale));
    const ValueId b = graph.add_constant("fc.bias", random({classes}, 0.1));
    GemmAttrs attrs;
    attrs.trans_b = true;
    graph.set_outputs({add(OpType::kGemm, attrs, "logits", {flat, w, b})});
    infer_shapes(graph);
    verify(graph);
    return std::move(graph);
  }

 private:
  ValueId add(OpType type, OpAttrs attrs, const std::string& name, std::vector<ValueId> inputs) {
    return graph.output_of(graph.add_node(type, std::move(attrs), name, std::move(inputs), name));
  }

  /// Uniform, with the given standard deviation.
  Tensor random(Dims dims, double deviation) {
    Tensor tensor(DType::kF32, std::move(dims));
    const double unit = std::ldexp(1.0, -52) * std::sqrt(3.0);
    for (float& x : tensor.mutable_data<float>()) {
      const auto bits = static_cast<int64_t>(bits_() >> 11) - (int64_t{1} << 52);
      x = static_cast<float>(static_cast<double>(bits) * unit * deviation);
    }
    return tensor;
  }

  std::mt19937_64 bits_{1};
  int convolutions_ = 0, sums_ = 0;
};

/// The last convolution of a residual branch adds little, so that sums do not grow with the depth.
constexpr double kBranchGain = 0.4;

Map basic_branch(NetWriter& net, Map x, int64_t channels, int64_t stride) {
  x = net.conv(x, channels, {3, stride, 1, Act::kRelu});
  return net.conv(x, channels, {3, 1, 1, Act::kNone, kBranchGain});
}

Map bottleneck_branch(NetWriter& net, Map x, int64_t channels, int64_t stride) {
  const int64_t middle = channels / 4;
  x = net.conv(x, middle, {1, 1, 1, Act::kRelu});
  x = net.conv(x, middle, {3, stride, 1, Act::kRelu});
  return net.conv(x, channels, {1, 1, 1, Act::kNone, kBranchGain});
}

using Branch = Map (*)(NetWriter&, Map, int64_t, int64_t);

Graph imagenet_resnet(int64_t size, std::initializer_list<int64_t> blocks, Branch branch, int64_t expansion) {
  NetWriter net;
  Map x = net.max_pool(net.conv(net.input(size), 64, {7, 2, 1, Act::kRelu}));
  int64_t channels = 64 * expansion;
  for (const int64_t count : blocks) {
    for (int64_t i = 0; i < count; ++i) {
      const int64_t stride = i == 0 && channels > 64 * expansion ? 2 : 1;
      const Map y = branch(net, x, channels, stride);
      const bool same = stride == 1 && x.channels == channels;
      x = net.sum(y, same ? x : net.conv(x, channels, {1, stride, 1, Act::kNone, std::sqrt(0.5)}),
                  Act::kRelu);
    }
    channels *= 2;
  }
  return net.classifier(x, 1000);
}

Graph resnet50(int64_t size) { return imagenet_resnet(size, {3, 4, 6, 3}, bottleneck_branch, 4); }
Graph resnet18(int64_t size) { return imagenet_resnet(size, {2, 2, 2, 2}, basic_branch, 1); }

Graph resnet56(int64_t size) {
  NetWriter net;
  Map x = net.conv(net.input(size), 16, {3, 1, 1, Act::kRelu});
  for (const int64_t channels : {16, 32, 64}) {
    for (int i = 0; i < 9; ++i) {
      const bool same = channels == x.channels;
      const Map shortcut = same ? x : net.subsample(x, channels, size);
      x = net.sum(basic_branch(net, x, channels, same ? 1 : 2), shortcut, Act::kRelu);
      if (!same) size = (size + 1) / 2;
    }
  }
  return net.classifier(x, 10);
}

Graph mobilenet_v2(int64_t size) {
  constexpr struct {
    int64_t expansion, channels, count, stride;
  } kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                 {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  NetWriter net;
  Map x = net.conv(net.input(size), 32, {3, 2, 1, Act::kRelu6});
  for (const auto& stage : kStages) {
    for (int64_t i = 0; i < stage.count; ++i) {
      const int64_t stride = i == 0 ? stage.stride : 1, wide = x.channels * stage.expansion;
      Map y = x;
      if (stage.expansion != 1) y = net.conv(y, wide, {1, 1, 1, Act::kRelu6});
      y = net.conv(y, wide, {3, stride, wide, Act::kRelu6});
      const bool residual = stride == 1 && x.channels == stage.channels;
      y = net.conv(y, stage.channels, {1, 1, 1, Act::kNone, residual ? kBranchGain : 1});
      x = residual ? net.sum(y, x, Act::kNone) : y;
    }
  }
  return net.classifier(net.conv(x, 1280, {1, 1, 1, Act::kRelu6}), 1000);
}

constexpr struct {
  const char* name;
  Graph (*make)(int64_t size);
  int64_t size;
} kNets[] = {{"resnet50", resnet50, 224},
             {"resnet18", resnet18, 224},
             {"mobilenet_v2", mobilenet_v2, 224},
             {"resnet56", resnet56, 32}};

void run(const std::string& wanted, int64_t size, const std::string& out) {
  for (const auto& net : kNets) {
    if (wanted != net.name) continue;
    const int64_t side = size > 0 ? size : net.size;
    Graph graph = net.make(side);
    graph.name = wanted;
    Preprocess preprocess;
    preprocess.scale = 1.0f / 255;
    preprocess.mean = {0.485f, 0.456f, 0.406f};
    preprocess.std = {0.229f, 0.224f, 0.225f};
    preprocess.height = preprocess.width = side;
    const std::string beside = model_stem(out) + ".preprocess.json";
    export_onnx(graph, out);
    write_preprocess(preprocess, beside);
    const NodeCost cost = graph_cost(graph);
    fmt::print("wrote {} and {}: {:.2f} GMACs, {:.2f} M parameters\n", printable(out), printable(beside),
               static_cast<double>(cost.macs) * 1e-9, static_cast<double>(cost.parameters) * 1e-6);
    return;
  }
  throw Error(ErrorKind::kUsage, "unknown network");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Writes a network with random weights as ONNX, and its preprocess file");
  std::string net, out;
  int64_t size = 0;
  std::vector<std::string> names;
  for (const auto& known : kNets) names.push_back(known.name);
  app.add_option("NET", net)->required()->check(CLI::IsMember(names));
  app.add_option("--size", size, "Side of the images; as the network was published, if not given")
      ->check(CLI::Range(16, 4096));
  app.add_option("-o,--output", out, "FILE.onnx")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run(net, size, out);
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_net: {}\n", error.what());
    return 1;
  }
}

#include "training/qdq.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>

#include "base/error.h"
#include "executor/executor.h"
#include "formats/model_io.h"
#include "quantization/calibrate.h"
#include "quantization/quantize.h"
#include "support/qdq.h"
#include "support/shared_data.h"
#include "training/module_support.h"
#include "training/optimizer.h"
#include "training/trainer.h"

namespace xdn::testing {
namespace {

using training::Module;
using training::Optimizer;

constexpr int64_t kEverything = int64_t{1} << 30;

/// n images of noise in which one channel, the label, is a little brighter.
struct Colors {
  int64_t side;
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  Colors(int64_t n, int64_t size, uint64_t seed) : side(size) {
    Uniform random(seed);
    for (int64_t i = 0; i < n; ++i) {
      labels.push_back(i % 3);
      for (int64_t j = 0; j < size * size * 3; ++j) {
        pixels.push_back(static_cast<uint8_t>(random.between(0, 200) + (j % 3 == i % 3 ? 30 : 0)));
      }
    }
  }
  training::ImageSet set() const { return {pixels.data(), labels, side, side}; }
  int64_t count() const { return static_cast<int64_t>(labels.size()); }
};

Preprocess some_preprocess() {
  Preprocess p;
  p.scale = 1.0f / 255;
  p.mean = {0.4f, 0.4f, 0.4f};
  p.std = {0.25f, 0.25f, 0.25f};
  return p;
}

PixelMap pixel_map() {
  const float scale = 1.0f / 255 / 0.25f, shift = -0.4f / 0.25f;
  return {{scale, scale, scale}, {shift, shift, shift}, {0, 1, 2}};
}

/// As `xdn quantize` does it.
Graph quantized(const Graph& model, const Colors& images, const QuantizeOptions& options = {}) {
  Quantizer quantizer(model, options);
  const Calibration calibration(quantizer.graph(), {images.pixels.data(), images.count(), pixel_map(), 1});
  Ranges ranges;
  ranges.values = calibration.ranges(quantizer.values(), RangeMethod::kMse);
  quantizer.set_ranges(std::move(ranges));
  quantizer.round_weights(&calibration);
  return quantizer.quantized();
}

/// A residual block, a projection, pools: what ResNets have.
const char* kNet = R"(graph "g" {
  input %x f32[N,3,8,8]
  const %w1 f32[8,3,3,3] random(1)
  const %b1 f32[8] random(2)
  const %w2 f32[8,8,3,3] random(3)
  const %b2 f32[8] random(4)
  const %w3 f32[12,8,3,3] random(5)
  const %b3 f32[12] random(6)
  const %w4 f32[12,8,1,1] random(7)
  const %f f32[3,12] random(8)
  const %c f32[3] random(9)
  %c1 = Conv(%x, %w1, %b1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %r1 = Relu(%c1)
  %c2 = Conv(%r1, %w2, %b2) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %a2 = Add(%c2, %r1)
  %r2 = Relu(%a2)
  %p2 = MaxPool(%r2) kernel=[2,2] strides=[2,2]
  %c3 = Conv(%p2, %w3, %b3) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
  %c4 = Conv(%p2, %w4) kernel=[1,1]
  %a3 = Add(%c3, %c4)
  %r3 = Relu(%a3)
  %g = GlobalAveragePool(%r3)
  %h = Flatten(%g)
  %y = Gemm(%h, %f, %c) trans_b=true
  output %y
}
)";

/// kNet with weights that neither explode nor vanish.
Graph net() {
  Graph graph = parse_graph(kNet);
  for (const NodeId id : graph.order()) {
    const ValueId w = graph.node(id).input(1);
    if (!graph.is_constant(w)) continue;
    const Tensor& tensor = graph.constant(w);
    const float factor =
        1.7f / std::sqrt(static_cast<float>(tensor.size()) / static_cast<float>(tensor.dim(0)));
    Tensor scaled(DType::kF32, tensor.dims());
    for (size_t i = 0; i < scaled.mutable_data<float>().size(); ++i)
      scaled.mutable_data<float>()[i] = tensor.data<float>()[i] * factor;
    graph.value(w).constant = scaled;
  }
  return graph;
}

Graph shared_resnet20() {
  const Colors images(16, 32, 5);
  return quantized(load_model((*models_dir() / "resnet20-cifar10/resnet20.onnx").string()), images);
}

void expect_unchanged(const Graph& graph) {
  for (const bool learn : {false, true})
    EXPECT_EQ(print(Module(graph, learn).graph(), kEverything), print(graph, kEverything));
}

/// Every value that a DequantizeLinear gives, against the reference: the same levels, but for those that
/// another order of summation moves across the middle between two.
void expect_levels_of_reference(Graph graph, const Tensor& images, double most_other) {
  std::vector<ValueId> wanted = graph.outputs();
  std::map<std::string, float> scales;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (node.type != OpType::kDequantizeLinear || graph.is_constant(node.input(0))) continue;
    wanted.push_back(node.output);
    scales[graph.value(node.output).name] = graph.constant(node.input(1)).data<float>()[0];
  }
  graph.set_outputs(wanted);
  std::map<std::string, Tensor> expected;
  (void)run_reference(graph, std::vector{images}, &expected);
  Module module(graph);
  const at::NoGradGuard no_grad;
  const auto got = module.outputs(training::to_torch(images));
  ASSERT_EQ(got.size(), wanted.size());
  int64_t others = 0, all = 0;
  for (size_t i = 1; i < wanted.size(); ++i) {
    const std::string& name = graph.value(wanted[i]).name;
    const Tensor result = training::from_torch(got[i]);
    const float scale = scales.at(name);
    const auto a = result.data<float>(), b = expected.at(name).data<float>();
    ASSERT_EQ(a.size(), b.size());
    for (size_t j = 0; j < a.size(); ++j, ++all) {
      if (a[j] != b[j]) ++others;
      ASSERT_LE(std::abs(a[j] - b[j]), 2.01f * scale) << name << " at " << j;
    }
  }
  EXPECT_GT(all, 0);
  EXPECT_LE(static_cast<double>(others), most_other * static_cast<double>(all)) << "of " << all;
}

TEST(QdqModule, AsTheReferenceAndBack) {
  const Graph graph = quantized(net(), Colors(32, 8, 5));
  expect_unchanged(graph);
  expect_levels_of_reference(graph, random_images(graph, 3), 1e-3);
}

TEST(SharedModelQdqModule, AsTheReferenceAndBack) {
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  const Graph graph = shared_resnet20();
  expect_unchanged(graph);
  expect_levels_of_reference(graph, random_images(graph, 1), 1e-3);
}

TEST(QdqModule, EveryFormOfWeightsAsTheReferenceAndBack) {
  for (const auto weights : {WeightForm::kPerChannelS8, WeightForm::kPerTensorS8, WeightForm::kCentredU8,
                             WeightForm::kShiftedU8, WeightForm::kShiftedS8, WeightForm::kZeroPerChannel,
                             WeightForm::kWideU8, WeightForm::kPerInputChannel, WeightForm::kFloat}) {
    for (const auto bias : {BiasForm::kNone, BiasForm::kFloat, BiasForm::kS32}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(weights)) + " " + std::to_string(static_cast<int>(bias)));
      QdqBuilder net(7);
      ValueId x = net.qdq(net.input(4, 6, 5), {0.01f, 120});
      x = net.qconv(x, 4, 6,
                    {.kernel = 3, .pad = 1, .weights = weights, .bias = bias, .act = ActKind::kRelu});
      x = net.add(OpType::kFlatten, FlattenAttrs{1}, {x});
      const Graph graph = net.finish(net.qgemm(net.qdq(x, {0.02f, -120, DType::kI8}), 180, 5, true));
      expect_unchanged(graph);
      expect_levels_of_reference(graph, random_images(graph, 2), 1e-3);
      std::set<std::string> names;
      const Module module(graph, true);
      for (const auto& p : module.parameters()) EXPECT_TRUE(names.insert(p.name).second) << p.name;
    }
  }
}

/// Biases of more levels than f32 has bits.
TEST(QdqModule, WideBiasesComeBackToTheBit) {
  expect_unchanged(parse_graph(R"(graph "g" {
  input %x f32[N,2]
  const %s f32[] [0.01]
  const %w i8[2,2] [1, -128, 3, 4]
  const %ws f32[2] [0.001, 1e-09]
  const %b i32[2] [1073741823, -987654321]
  const %bs f32[2] [1e-05, 1e-11]
  %q = QuantizeLinear(%x, %s) dtype=i8
  %d = DequantizeLinear(%q, %s)
  %dw = DequantizeLinear(%w, %ws) axis=0
  %db = DequantizeLinear(%b, %bs) axis=0 dtype=i32
  %y = Gemm(%d, %dw, %db) trans_b=true
  output %y
})"));
}

std::map<std::string, float> largest_by_name(const Graph& graph) {
  std::map<std::string, float> scales;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    if (training::is_qdq(node.type))
      scales[graph.value(node.input(1)).name] = largest(graph.constant(node.input(1)));
  }
  return scales;
}

void train_a_little(Module& module, const Graph& graph, int64_t steps) {
  Optimizer optimizer(module, {.momentum = 0.9, .weight_decay = 1e-3, .nesterov = true, .ema = 0.5});
  for (int64_t step = 0; step < steps; ++step) {
    const at::Tensor images = training::to_torch(random_images(graph, 8, static_cast<uint64_t>(step + 1)));
    const at::Tensor logits = module.forward(images).logits;
    (logits * at::sin(at::arange(logits.numel(), at::kFloat)).view(logits.sizes())).sum().backward();
    optimizer.step(0.003, step);
  }
}

TEST(QdqModule, LearnedScalesStayConsistent) {
  const Graph graph = quantized(net(), Colors(32, 8, 5));
  Module module(graph, true);
  train_a_little(module, graph, 10);
  const Graph back = module.graph();
  verify(back);
  ASSERT_EQ(back.order(), graph.order());
  int products = 0, moved = 0;
  for (const NodeId id : back.order()) {
    const Node& node = back.node(id);
    if (training::is_qdq(node.type)) {
      EXPECT_EQ(back.constant(node.input(2)).to_ints(), graph.constant(node.input(2)).to_ints());
      for (const float s : back.constant(node.input(1)).data<float>()) EXPECT_GT(s, 0);
    }
    if (node.type != OpType::kConv && node.type != OpType::kGemm) continue;
    const auto scales = [&](size_t i) {
      return back.constant(back.node(back.value(node.input(i)).producer).input(1)).data<float>();
    };
    if (node.input(2) == kNoValue) continue;
    for (size_t j = 0; j < scales(1).size(); ++j, ++products)
      EXPECT_EQ(scales(2)[j],
                static_cast<float>(static_cast<double>(scales(0)[0]) * static_cast<double>(scales(1)[j])));
  }
  EXPECT_EQ(products, 8 + 8 + 12 + 12 + 3);  // the projection has a bias of its correction
  const auto before = largest_by_name(graph), after = largest_by_name(back);
  for (const auto& [name, scale] : before) moved += after.at(name) != scale ? 1 : 0;
  EXPECT_EQ(moved, static_cast<int>(before.size()));
  EXPECT_EQ(after.at("p2_scale"), after.at("r2_scale"));
  EXPECT_EQ(after.at("h_scale"), after.at("g_scale"));
  // What comes back is what was trained.
  module.set_training(false);
  const at::NoGradGuard no_grad;
  const Tensor images = random_images(graph, 4, 99);
  Module again(back);
  EXPECT_TRUE(at::equal(again.forward(training::to_torch(images)).logits,
                        module.forward(training::to_torch(images)).logits));
  expect_levels_of_reference(back, images, 1e-3);
}

TEST(QdqModule, CalibratedScalesStayUnlessTheyAreLearned) {
  const Graph graph = quantized(net(), Colors(32, 8, 5));
  Module module(graph);
  train_a_little(module, graph, 3);
  const Graph back = module.graph();
  EXPECT_EQ(largest_by_name(back), largest_by_name(graph));
  EXPECT_NE(print(back, kEverything), print(graph, kEverything));
  std::vector<std::string> decaying;
  const Module learning(graph, true);
  for (const auto& p : learning.parameters()) {
    if (p.decays) decaying.push_back(p.name);
  }
  EXPECT_EQ(decaying, (std::vector<std::string>{"w1_q", "w2_q", "w3_q", "w4_q", "f_q"}));
}

TEST(QdqModule, ScalesOfTiedSumsAreNotLearned) {
  const auto learned = [](const std::string& other) {
    const Graph graph = parse_graph(R"(graph "g" {
  input %x f32[N,2,4,4]
  const %s f32[] [0.01]
  const %z u8[] [128]
  const %w i8[2,2,1,1] [1, 2, 3, 4]
  const %v i8[2,2,1,1] [5, 6, 7, 8]
  const %ws f32[2] [0.5, 0.25]
  const %vs f32[2] [0.5, )" + other +
                                    R"(]
  %q = QuantizeLinear(%x, %s, %z)
  %d = DequantizeLinear(%q, %s, %z)
  %dw = DequantizeLinear(%w, %ws) axis=0 dtype=i8
  %dv = DequantizeLinear(%v, %vs) axis=0 dtype=i8
  %a = Conv(%d, %dw) kernel=[1,1]
  %b = Conv(%d, %dv) kernel=[1,1]
  %y = Add(%a, %b)
  output %y
})");
    std::vector<std::string> names;
    const Module module(graph, true);
    for (const auto& p : module.parameters()) names.push_back(p.name);
    return names;
  };
  EXPECT_EQ(learned("0.25"), (std::vector<std::string>{"w", "v"}));
  EXPECT_EQ(learned("0.26"), (std::vector<std::string>{"w", "v", "s", "ws", "vs"}));
}

TEST(QdqModule, StaysInF32) {
  const Graph graph = quantized(net(), Colors(32, 8, 5));
  Module module(graph);
  const at::Tensor images = training::to_torch(random_images(graph, 2));
  const at::NoGradGuard no_grad;
  const at::Tensor exact = module.forward(images).logits;
  module.set_compute_type(at::kBFloat16);
  EXPECT_TRUE(at::equal(module.forward(images).logits, exact));
}

TEST(QdqOptimizer, ParametersStayAboveTheirLowest) {
  const Graph graph = quantized(net(), Colors(32, 8, 5));
  Module module(graph, true);
  Optimizer optimizer(module, {.momentum = 0.9, .weight_decay = 0, .nesterov = true, .ema = 0.5});
  size_t bounded = 0;
  for (const auto& p : module.parameters()) {
    if (!p.lowest.defined()) continue;
    ++bounded;
    EXPECT_TRUE((p.lowest > 0).all().item<bool>());
    EXPECT_TRUE((p.lowest < p.value).all().item<bool>()) << p.name;
    at::Tensor(p.value).mutable_grad() = at::ones_like(p.value);
  }
  EXPECT_GT(bounded, 10u);
  optimizer.step(100, 0);
  for (const auto& p : module.parameters()) {
    if (!p.lowest.defined()) continue;
    EXPECT_TRUE(at::equal(p.value, p.lowest)) << p.name;
  }
}

/// A bias of `level` and 5 whose scale is the product of the two others; weights' scales lie along `axis`.
Graph wide_bias(int64_t level, int axis) {
  return parse_graph(R"(graph "g" {
  input %x f32[N,2]
  const %s f32[] [0.01]
  const %w i8[2,2] [1, -128, 3, 4]
  const %ws f32[2] [0.5, 0.25]
  const %b i32[2] [)" +
                     std::to_string(level) + R"(, 5]
  const %bs f32[2] [0.005, 0.0025]
  %q = QuantizeLinear(%x, %s) dtype=i8
  %d = DequantizeLinear(%q, %s)
  %dw = DequantizeLinear(%w, %ws) axis=)" +
                     std::to_string(axis) + R"(
  %db = DequantizeLinear(%b, %bs) axis=0 dtype=i32
  %y = Gemm(%d, %dw, %db) trans_b=true
  output %y
})");
}

/// What comes back when every scale has become as small as it may.
Graph at_lowest(const Graph& graph) {
  Module module(graph, true);
  const at::NoGradGuard no_grad;
  for (const auto& p : module.parameters()) {
    if (p.lowest.defined()) at::Tensor(p.value).copy_(p.lowest);
  }
  return module.graph();
}

TEST(QdqModule, ScalesAtTheirLeastKeepBiasesIn32Bits) {
  const auto scale = [](const Graph& graph, const char* name) {
    const auto all = graph.constant(*graph.find_value(name)).data<float>();
    return std::vector<float>(all.begin(), all.end());
  };
  for (const int64_t level :
       {int64_t{1} << 20, int64_t{1} << 26, int64_t{1} << 28, int64_t{1} << 30, (int64_t{1} << 31) - 1}) {
    SCOPED_TRACE(level);
    const Graph before = wide_bias(level, 0), after = at_lowest(before);
    EXPECT_NE(scale(before, "ws"), scale(after, "ws"));
    const std::vector<int64_t> levels = after.constant(*after.find_value("b")).to_ints();
    const double bias = static_cast<double>(level) * static_cast<double>(scale(before, "bs")[0]);
    EXPECT_NEAR(static_cast<double>(levels[0]) * static_cast<double>(scale(after, "bs")[0]), bias,
                1e-6 * bias);
  }
  const Graph small = at_lowest(wide_bias(1 << 20, 0));
  EXPECT_EQ(scale(small, "s")[0], 0.01f / 16);
  EXPECT_EQ(scale(small, "ws"), (std::vector<float>{0.5f / 16, 0.25f / 16}));
}

/// Scales along the inputs are none that the filters' biases could be a product of.
TEST(QdqModule, BiasesFollowScalesOfFiltersAlone) {
  const auto bias_scale = [](const Graph& graph) {
    const auto all = graph.constant(*graph.find_value("bs")).data<float>();
    return std::vector<float>(all.begin(), all.end());
  };
  const std::vector<float> before{0.005f, 0.0025f};
  EXPECT_EQ(bias_scale(at_lowest(wide_bias(1000, 1))), before);
  EXPECT_NE(bias_scale(at_lowest(wide_bias(1000, 0))), before);
}

class QdqTraining : public ::testing::Test {
 protected:
  training::TrainOptions options(const std::string& run) const {
    training::TrainOptions o;
    o.epochs = 4;
    o.batch = 16;
    o.rate = 0.01;
    o.learn_scales = true;
    o.threads = 1;
    o.run_folder = dir_ / run;
    return o;
  }
  training::TrainResult run(const training::TrainOptions& o,
                            const training::TrainObserver& observer = {}) const {
    return train(graph_, some_preprocess(), {train_.set(), val_.set(), std::nullopt}, std::nullopt, o,
                 observer);
  }
  TempDir dir_;
  Colors train_{192, 8, 1}, val_{96, 8, 2};
  Graph graph_ = quantized(net(), train_);
};

TEST_F(QdqTraining, LearnsAndTheExecutorAgrees) {
  for (const bool learn : {false, true}) {
    SCOPED_TRACE(learn);
    auto o = options(learn ? "learned" : "calibrated");
    o.learn_scales = learn;
    std::vector<double> losses;
    training::TrainObserver observer;
    observer.on_epoch = [&](const training::EpochReport& report) { losses.push_back(report.loss); };
    const training::TrainResult result = run(o, observer);
    EXPECT_LT(losses.back(), 0.7 * losses.front());
    EXPECT_GT(*result.val_accuracy, 0.8);
    EXPECT_EQ(accuracy_of(result.graph, some_preprocess(), val_.set()), *result.val_accuracy);
    ExecOptions exec;
    exec.pixels = pixel_map();
    exec.threads = 1;
    Executor executor(result.graph, exec);
    EXPECT_EQ(executor.settings().precision, Precision::kInt8);
    for (const StepReport& step : executor.steps()) {
      if (step.macs == 0) continue;
      EXPECT_EQ(step.arith, "i8") << step.layer << ": " << step.refused;
    }
    std::vector<float> logits(static_cast<size_t>(val_.count() * 3));
    ImageSource source;
    source.data = val_.pixels.data();
    executor.run_u8(source, val_.count(), logits.data());
    int64_t correct = 0;
    for (int64_t i = 0; i < val_.count(); ++i) {
      const float* row = logits.data() + 3 * i;
      correct += std::max_element(row, row + 3) - row == val_.labels[static_cast<size_t>(i)] ? 1 : 0;
    }
    // An image between two classes may fall to the other with a level.
    EXPECT_NEAR(static_cast<double>(correct), *result.val_accuracy * 96, 1.01);
  }
}

TEST_F(QdqTraining, ResumesAsUninterrupted) {
  struct Stopped {};
  auto o = options("straight");
  const std::string straight = print(run(o).graph, kEverything);
  training::TrainObserver stop;
  stop.on_epoch = [](const training::EpochReport& report) {
    if (report.epoch == 2) throw Stopped();
  };
  o.run_folder = dir_ / "parts";
  EXPECT_THROW(run(o, stop), Stopped);
  o.resume = true;
  EXPECT_EQ(print(run(o).graph, kEverything), straight);
  o.learn_scales = false;
  EXPECT_THROW(run(o), Error);
}

TEST_F(QdqTraining, Bf16IsRefused) {
  auto o = options("run");
  o.bf16 = true;
  try {
    run(o);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.message(), "is quantized: --precision bf16 would move its levels, expected fp32");
  }
}

std::string message_of(const std::string& body) {
  try {
    const Module module(parse_graph("graph \"g\" {\n input %x f32[N,4]\n const %s f32[] [0.1]\n"
                                    " const %t f32[] [0.2]\n const %z u8[] [3]\n const %w i8[2,4] fill(1)\n" +
                                    body + "\n output %y\n}"),
                        true);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(QdqModule, RefusesWhatItDoesNotUnderstandAndNamesTheLayer) {
  const std::string weights = "\n %v = DequantizeLinear(%w, %s) dtype=i8 \"w\"";
  const std::string layer = weights + "\n %y = Gemm(%d, %v) trans_b=true";
  EXPECT_EQ(message_of("%q = QuantizeLinear(%x, %s, %z)\n %d = DequantizeLinear(%q, %s, %z)" + layer),
            "no error");
  EXPECT_EQ(message_of("%k = Mul(%s, %t)\n %q = QuantizeLinear(%x, %k, %z) \"in\"\n"
                       "%d = DequantizeLinear(%q, %k, %z)" +
                       layer),
            "layer 'in': cannot be trained: its scale is computed, expected a constant");
  EXPECT_EQ(message_of("%q = QuantizeLinear(%x, %s, %z) \"in\"\n %d = DequantizeLinear(%q, %t, %z)" + layer),
            "layer 'in': cannot be trained: its levels have another scale or zero point in d");
  EXPECT_EQ(message_of("%q = QuantizeLinear(%x, %s, %z) \"in\"\n %r = Reshape(%q) shape=[N,4]\n"
                       "%d = DequantizeLinear(%r, %s, %z)" +
                       layer),
            "layer 'r': cannot be trained: expected elements of f32, got u8");
  EXPECT_EQ(message_of("const %n f32[] [0]\n %q = QuantizeLinear(%x, %n, %z) \"in\"\n"
                       "%d = DequantizeLinear(%q, %n, %z)" +
                       layer),
            "layer 'in': cannot be trained: its scale is not a positive number");
  EXPECT_EQ(message_of("%q = QuantizeLinear(%x, %s, %z)\n %d = DequantizeLinear(%q, %s, %z)\n"
                       " const %f f32[2,4] fill(0.3)\n %k = QuantizeLinear(%f, %s) dtype=i8 \"w\"\n"
                       " %v = DequantizeLinear(%k, %s)\n %y = Gemm(%d, %v) trans_b=true"),
            "layer 'w': cannot be trained: it rounds a constant, expected levels as a constant");
  EXPECT_EQ(
      message_of("%q = QuantizeLinear(%x, %s, %z)\n %d = DequantizeLinear(%q, %s, %z)" + weights +
                 "\n %u = DequantizeLinear(%w, %t) dtype=i8 \"again\"\n %k = Gemm(%d, %v) trans_b=true\n"
                 " %l = Gemm(%d, %u) trans_b=true\n %y = Add(%k, %l)"),
      "layer 'again': cannot be trained: its levels have another scale or zero point in w");
}

}  // namespace
}  // namespace xdn::testing

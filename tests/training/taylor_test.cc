#include "training/taylor.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

#include "training/evaluation.h"
#include "training/loader.h"
#include "training/module.h"
#include "training/teaching.h"
#include "training/training_support.h"

namespace xdn::testing {
namespace {

using training::Teacher;
using training::TrainOptions;

/// Every kind of gate: a BatchNorm, Caffe's pair of layers, a fused activation with a bias, a sum, a bias
/// that is one number, and weights that two layers share.
constexpr const char* kNet = R"(graph "g" {
 input %x f32[N,3,8,8]
 const %w1 f32[4,3,3,3] random(1)
 const %g1 f32[4] [0.5, 1.5, -1, 2]
 const %b1 f32[4] [0.1, -0.2, 0.3, 0]
 const %m1 f32[4] [0.1, 0, -0.1, 0.2]
 const %v1 f32[4] [1, 0.5, 2, 1.5]
 const %w2 f32[4,2,1,1] random(2)
 const %one f32[4] fill(1)
 const %zero f32[4] fill(0)
 const %m2 f32[4] [0.1, 0.2, -0.1, 0]
 const %v2 f32[4] [0.25, 0.5, 1, 0.5]
 const %s2 f32[1,4,1,1] [1, 2, -0.5, 0.75]
 const %t2 f32[1,4,1,1] [0.1, 0.2, -0.3, 0.4]
 const %w3 f32[4,4,1,1] random(3)
 const %b3 f32[4] random(4)
 const %fc f32[4,3] random(5)
 const %bias f32[1] [0.5]
 %conv1 = Conv(%x, %w1) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1]
 %bn1 = BatchNorm(%conv1, %g1, %b1, %m1, %v1)
 %relu1 = Relu(%bn1)
 %conv2 = Conv(%relu1, %w2) kernel=[1,1] group=2
 %bn2 = BatchNorm(%conv2, %one, %zero, %m2, %v2)
 %mul2 = Mul(%bn2, %s2)
 %add2 = Add(%mul2, %t2)
 %conv3 = Conv(%add2, %w3, %b3) kernel=[1,1] act=relu
 %conv4 = Conv(%conv3, %w3, none, %relu1) kernel=[1,1] act=relu
 %pool = GlobalAveragePool(%conv4)
 %flat = Flatten(%pool) axis=1
 %logits = Gemm(%flat, %fc, %bias)
 output %logits
})";

/// The constants of kNet that a layer's gate scales.
struct Scaled {
  const char* layer;
  std::vector<std::string> constants;
  int64_t filters;
};
const std::vector<Scaled> kGates{{"conv1", {"g1", "b1"}, 4}, {"conv2", {"s2", "t2"}, 4}};

TrainOptions options_for(int64_t batch) {
  TrainOptions options;
  options.batch = batch;
  options.label_smoothing = 0.1;
  options.threads = 1;
  return options;
}

double loss_for(const Graph& graph, const Colors& colors, const std::optional<Teacher>& teacher,
                const TrainOptions& options) {
  const at::NoGradGuard no_grad;
  const training::PixelTransform transform(some_preprocess(), 8);
  const auto set = colors.set();
  std::vector<float> pixels(static_cast<size_t>(set.size() * set.image_bytes()));
  for (int64_t i = 0; i < set.size(); ++i) transform.apply(set, i, pixels.data() + i * set.image_bytes());
  const at::Tensor x = training::image_tensor(pixels.data(), set.size(), set, at::kFloat);
  const training::Module::Result result = training::Module(graph).forward(x);
  training::Module::Result taught;
  if (teacher) taught = training::Module(teacher->graph).forward(x);
  return training::loss_of(result, teacher ? &taught : nullptr, training::label_tensor(set.labels), options)
      .item<double>();
}

/// The graph, its element `filter` of these constants (along the axis that is as long) times `factor`.
Graph scaled(Graph graph, const std::vector<std::string>& constants, int64_t filters, int64_t filter,
             float factor) {
  for (const std::string& name : constants) {
    const ValueId id = *graph.find_value(name);
    Tensor tensor = graph.constant(id);
    const Dims dims = tensor.dims();
    const auto values = tensor.mutable_data<float>();
    const bool last = name == "fc";  // filters are its columns
    const int64_t length = tensor.size() / filters;
    for (int64_t i = 0; i < length; ++i)
      values[static_cast<size_t>(last ? i * filters + filter : filter * length + i)] *= factor;
    graph.value(id).constant = std::move(tensor);
  }
  return graph;
}

void expect_squared_differences(const Graph& graph, const pruning::LayerScores& scores, const Scaled& gate,
                                const Colors& colors, const std::optional<Teacher>& teacher,
                                const TrainOptions& options) {
  SCOPED_TRACE(gate.layer);
  const std::vector<double>& got = scores.at(gate.layer);
  ASSERT_EQ(got.size(), static_cast<size_t>(gate.filters));
  constexpr float kStep = 1.0f / 64;
  double largest = 0;
  for (int64_t f = 0; f < gate.filters; ++f) {
    const double up =
        loss_for(scaled(graph, gate.constants, gate.filters, f, 1 + kStep), colors, teacher, options);
    const double down =
        loss_for(scaled(graph, gate.constants, gate.filters, f, 1 - kStep), colors, teacher, options);
    const double expected = std::abs(up - down) / (2 * static_cast<double>(kStep));
    EXPECT_NEAR(std::sqrt(got[static_cast<size_t>(f)]), expected, 1e-4 + 0.02 * expected) << "filter " << f;
    largest = std::max(largest, expected);
  }
  EXPECT_GT(largest, 1e-3) << "the test sees nothing";
}

class Taylor : public ::testing::TestWithParam<bool> {
 protected:
  Taylor() {
    if (GetParam()) teacher_ = Teacher{tiny_net(), some_preprocess()};
  }
  Colors colors_{48, 1};
  std::optional<Teacher> teacher_;
};

TEST_P(Taylor, IsTheSquaredDerivativeOfTheLossByAGate) {
  const Graph graph = parse_graph(kNet);
  const TrainOptions options = options_for(48);
  const pruning::LayerScores scores =
      training::taylor_scores(graph, some_preprocess(), colors_.set(), teacher_, options, 48);
  ASSERT_EQ(scores.size(), 5u);
  for (const Scaled& gate : kGates)
    expect_squared_differences(graph, scores, gate, colors_, teacher_, options);

  // Where constants are shared, the differences are taken of a graph in which they are not.
  Graph apart = graph;
  const auto own = [&](const char* layer, size_t input, const char* name, Tensor tensor) {
    const ValueId id = apart.add_constant(name, std::move(tensor));
    for (const NodeId node : apart.order()) {
      if (layer_name(apart, apart.node(node)) == layer) apart.node(node).inputs[input] = id;
    }
  };
  own("conv4", 1, "w4", graph.constant(*graph.find_value("w3")));
  Tensor bias(DType::kF32, {3});
  for (float& x : bias.mutable_data<float>()) x = 0.5f;
  own("logits", 2, "biases", bias);
  for (const Scaled& gate : {Scaled{"conv3", {"w3", "b3"}, 4}, Scaled{"conv4", {"w4"}, 4},
                             Scaled{"logits", {"fc", "biases"}, 3}}) {
    expect_squared_differences(apart, scores, gate, colors_, teacher_, options);
  }
}
INSTANTIATE_TEST_SUITE_P(Losses, Taylor, ::testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "taught" : "labels"; });

TEST(TaylorScores, AreTheMeanOfBatchesAndTheSameEveryTime) {
  const Colors colors(48, 1);
  TrainOptions options = options_for(12);
  options.augmentation = {.crop = 1, .flip = true, .cutout = 0};
  EXPECT_EQ(training::taylor_images(colors.set(), options, 1), 12);
  EXPECT_EQ(training::taylor_images(colors.set(), options, 25), 36);
  EXPECT_EQ(training::taylor_images(colors.set(), options, int64_t{1} << 62), 48);
  const auto scores = [&](int64_t images) {
    return training::taylor_scores(tiny_net(), some_preprocess(), colors.set(), std::nullopt, options,
                                   images);
  };
  const pruning::LayerScores both = scores(24);
  EXPECT_EQ(scores(24), both);
  options.seed = 1;
  EXPECT_NE(scores(24), both);

  options.augmentation = {};
  const pruning::LayerScores plain = scores(24);
  const training::ImageSet all = colors.set();
  training::Loader loader(all, some_preprocess(), {.batch = 12, .seed = 1});
  loader.start(0);
  std::vector<pruning::LayerScores> single;
  for (int i = 0; i < 2; ++i) {
    std::vector<uint8_t> pixels;
    std::vector<int64_t> labels;
    for (const int64_t index : loader.next()->indices) {
      pixels.insert(pixels.end(), all.image(index), all.image(index) + all.image_bytes());
      labels.push_back(all.labels[static_cast<size_t>(index)]);
    }
    single.push_back(training::taylor_scores(tiny_net(), some_preprocess(), {pixels.data(), labels, 8, 8},
                                             std::nullopt, options, 12));
  }
  EXPECT_NE(single[0], single[1]);
  for (const auto& [layer, values] : plain) {
    const double most = *std::max_element(values.begin(), values.end());
    for (size_t f = 0; f < values.size(); ++f) {
      EXPECT_NEAR(values[f], (single[0].at(layer)[f] + single[1].at(layer)[f]) / 2, 1e-3 * most)
          << layer << " filter " << f;
    }
  }
}

TEST(TaylorScores, GraphsWithoutThemAreRefused) {
  const Colors colors(48, 1);
  const auto refusal = [&](const std::string& body, const std::optional<Teacher>& teacher = {},
                           double features = 0) {
    const Graph graph = parse_graph("graph \"g\" {\n input %x f32[N,3,8,8]\n" + body + "\n}");
    TrainOptions options = options_for(12);
    options.feature_weight = features;
    return error_of(
        [&] { (void)training::taylor_scores(graph, some_preprocess(), colors.set(), teacher, options, 12); });
  };
  const std::string layers = R"( const %w f32[3,3,8,8] random(1)
 %c = Conv(%x, %w) kernel=[8,8]
 %y = Flatten(%c) axis=1
)";
  EXPECT_EQ(refusal(layers + " output %y"), "no error");
  EXPECT_EQ(refusal(layers + " output %y\n output %c"), "has 2 outputs, expected logits alone");
  EXPECT_EQ(refusal(layers + " output %y", Teacher{tiny_net(), some_preprocess()}, 1),
            "has no linear layer at its end, whose input a teacher's features could be compared with");
  EXPECT_EQ(refusal(R"( const %g f32[3] fill(1)
 %n = BatchNorm(%x, %g, %g, %g, %g)
 %p = GlobalAveragePool(%n)
 %y = Flatten(%p) axis=1
 output %y)"),
            "has no filters to score: no Conv, Gemm or MatMul has constant weights");
  EXPECT_EQ(refusal(R"( const %s f32[] [0.1]
 const %w i8[3,3,8,8] fill(1)
 %q = QuantizeLinear(%x, %s) dtype=i8
 %d = DequantizeLinear(%q, %s)
 %v = DequantizeLinear(%w, %s) dtype=i8
 %c = Conv(%d, %v) kernel=[8,8]
 %y = Flatten(%c) axis=1
 output %y)"),
            "is quantized: what its filters are worth is measured on the float model");
}

TEST(TaylorScores, Bf16IsClose) {
  const Colors colors(48, 1);
  TrainOptions options = options_for(48);
  const auto total = [&] {
    double sum = 0;
    for (const auto& [layer, values] :
         training::taylor_scores(tiny_net(), some_preprocess(), colors.set(), std::nullopt, options, 48)) {
      for (const double value : values) sum += std::sqrt(value);
    }
    return sum;
  };
  const double exact = total();
  options.bf16 = true;
  const double rounded = total();
  EXPECT_NE(rounded, exact);
  EXPECT_NEAR(rounded, exact, 0.2 * exact);
}

TEST(TaylorScores, GradientsThatAreNotFiniteAreAFailure) {
  const Colors colors(48, 1);
  Graph graph = parse_graph(kNet);
  graph.value(*graph.find_value("fc")).constant->mutable_data<float>()[0] =
      std::numeric_limits<float>::infinity();
  EXPECT_EQ(error_of(
                [&] {
                  (void)training::taylor_scores(graph, some_preprocess(), colors.set(), std::nullopt,
                                                options_for(48), 48);
                },
                ErrorKind::kFailure),
            "its gradient is not finite");
}

}  // namespace
}  // namespace xdn::testing

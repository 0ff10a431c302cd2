#include "training/module.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include "base/error.h"
#include "formats/model_io.h"
#include "support/nets.h"
#include "support/random_graph.h"
#include "support/shared_data.h"
#include "training/module_support.h"

namespace xdn::testing {
namespace {

using training::Module;

constexpr int64_t kEverything = int64_t{1} << 30;

std::string message_of(const std::string& text) {
  try {
    Module module(parse_graph(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// One operator in front of a linear layer, so that there is something to train.
void expect_operator(const std::string& node, const std::string& shape = "[N,4,7,6]") {
  SCOPED_TRACE(node);
  expect_like_reference(parse_graph("graph \"g\" {\n input %x f32" + shape +
                                    "\n const %one f32[4,4,1,1] random(9)\n const %c f32[4,1,1] random(3)\n"
                                    " const %w f32[6,2,3,3] random(1)\n const %b f32[6] random(2)\n"
                                    " %stem = Conv(%x, %one) kernel=[1,1]\n %y = " +
                                    node + "\n output %y\n}\n"));
}

TEST(Module, EveryOperatorAsTheReference) {
  expect_operator("Conv(%stem, %w, %b) kernel=[3,3] group=2 pads_begin=[1,0] pads_end=[2,1] strides=[2,1]");
  expect_operator(
      "Conv(%stem, %w) kernel=[3,3] group=2 dilations=[2,2] pads_begin=[2,2] pads_end=[2,2] act=relu");
  expect_operator("Conv(%stem, %w, %b) kernel=[3,3] group=2 act=leaky_relu(0.25)");
  expect_operator("Conv(%stem, %w, %b) kernel=[3,3] group=2 act=clip(-0.5,0.75)");
  expect_operator("Conv(%stem, %one, none, %x) kernel=[1,1] act=relu");
  expect_operator("Relu(%stem)");
  expect_operator("LeakyRelu(%stem) alpha=0.2");
  expect_operator("PRelu(%stem, %c)");
  expect_operator("Clip(%stem) min=-0.25 max=0.5");
  expect_operator("Sigmoid(%stem)");
  expect_operator("HardSigmoid(%stem) alpha=0.3 beta=0.4");
  expect_operator("HardSwish(%stem)");
  expect_operator("Add(%stem, %c)");
  expect_operator("Sub(%c, %stem)");
  expect_operator("Mul(%stem, %x)");
  expect_operator("Div(%stem, %c)");
  expect_operator("Max(%stem, %c)");
  expect_operator("GlobalAveragePool(%stem)");
  expect_operator("ReduceMean(%stem) axes=[1,3] keepdims=false");
  expect_operator("Reshape(%stem) shape=[N,2,84]");
  expect_operator("Flatten(%stem) axis=1");
  expect_operator("Transpose(%stem) perm=[0,2,3,1]");
  expect_operator("Concat(%stem, %x, %stem) axis=1");
  expect_operator("Slice(%stem) axes=[1,2] starts=[1,0] ends=[4,100] steps=[1,2]");
  expect_operator("Slice(%stem) axes=[3] starts=[100] ends=[-1] steps=[-2]");
  expect_operator("Pad(%stem) begin=[0,1,2,-1] end=[0,0,1,2] value=0.5");
  expect_operator("Pad(%stem) begin=[0,0,2,3] end=[0,0,1,2] mode=reflect");
  expect_operator("Pad(%stem) begin=[0,0,2,3] end=[0,0,1,2] mode=edge");
  expect_operator("Identity(%stem)");
  expect_operator("Softmax(%stem) axis=1");
  expect_operator("Softmax(%stem) axis=1 to_end=true");
}

TEST(Module, PoolsAsTheReference) {
  for (const std::string op : {"MaxPool", "AveragePool"}) {
    for (const std::string window :
         {"kernel=[2,2] strides=[2,2]", "kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1]",
          "kernel=[3,2] strides=[2,2] pads_begin=[2,1] pads_end=[2,1]",
          "kernel=[3,3] strides=[2,3] pads_begin=[0,1]", "kernel=[2,2] strides=[2,1] dilations=[2,3]",
          "kernel=[7,6]"}) {
      for (const std::string mode : {"", " ceil_mode=true"}) {
        expect_operator(op + "(%stem) " + window + mode);
        if (op == "AveragePool") expect_operator(op + "(%stem) " + window + mode + " count_include_pad=true");
      }
    }
  }
}

TEST(Module, MatricesAsTheReference) {
  const auto expect = [](const std::string& node) {
    SCOPED_TRACE(node);
    expect_like_reference(
        parse_graph("graph \"g\" {\n input %x f32[N,5]\n const %w f32[5,3] random(1)\n"
                    " const %t f32[3,5] random(2)\n const %c f32[3] random(3)\n"
                    " const %row f32[1,3] random(4)\n %y = " +
                    node + "\n output %y\n}\n"));
  };
  expect("Gemm(%x, %w)");
  expect("Gemm(%x, %t, %c) trans_b=true");
  expect("Gemm(%x, %t, %row) trans_b=true act=relu");
  expect("Gemm(%x, %w, %c) alpha=0.5 beta=-2");
  expect("MatMul(%x, %w)");
}

TEST(Module, RandomGraphsAsTheReferenceAndBack) {
  int graphs = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = RandomGraph(seed).make();
    try {
      Module module(graph);
      // Constants that served two BatchNorms have copies; otherwise nothing has changed.
      const Graph back = module.graph();
      ASSERT_EQ(back.order().size(), graph.order().size());
      if (back.value_count() == graph.value_count()) {
        ASSERT_EQ(print(back, kEverything), print(graph, kEverything));
      }
    } catch (const Error& error) {
      ASSERT_NE(error.message().find("no weights"), std::string::npos) << error.what();
      continue;
    }
    expect_like_reference(graph);
    if (HasFatalFailure()) return;
    ++graphs;
  }
  EXPECT_GT(graphs, 150);
}

TEST(Module, FusedGraphsAsTheReferenceAndBack) {
  NetBuilder net(3);
  ValueId x = net.conv(net.input(3, 12, 12), 3, 8, {3, 1, 1});
  x = net.bottleneck(x, 8, 4, 16, 2);
  x = net.bottleneck(x, 16, 4, 16, 1);
  const Graph graph = net.finish(net.classifier(x, 16, 5));
  expect_like_reference(graph);
  EXPECT_EQ(print(Module(graph).graph(), kEverything), print(graph, kEverything));
}

TEST(SharedModelModule, AsTheReferenceAndBack) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  for (const std::string& spec : {(*models / "resnet20-cifar10/resnet20.onnx").string(),
                                  (*models / "resnet56-cifar10/resnet56.onnx").string(),
                                  (*models / "resnet50-cifar10/resnet50.prototxt").string() + ":" +
                                      (*models / "resnet50-cifar10/resnet50.caffemodel").string()}) {
    SCOPED_TRACE(spec);
    const Graph graph = load_model(spec);
    const Graph back = Module(graph).graph();
    ASSERT_EQ(print(back), print(graph));  // large constants by their checksums
    expect_like_reference(graph, 1);
  }
}

const char* kCaffeStyle = R"(graph "g" {
  input %x f32[N,3,4,4]
  const %w f32[4,3,1,1] random(1)
  const %one f32[4] fill(1)
  const %zero f32[4] fill(0)
  const %m f32[4] fill(0.5)
  const %v f32[4] fill(2)
  const %scale f32[4,1,1] [1, 2, 3, 4]
  const %shift f32[4,1,1] [0.5, 0, -1, 1]
  const %three f32[] [3]
  const %f f32[4,64] random(2)
  %a = Conv(%x, %w) kernel=[1,1]
  %b = BatchNorm(%a, %one, %zero, %m, %v)
  %c = Mul(%b, %scale)
  %d = Add(%c, %shift)
  %e = Relu(%d)
  %g = Add(%e, %three)
  %h = Flatten(%g)
  %y = Gemm(%h, %f) trans_b=true
  %p = Softmax(%y)
  output %p
}
)";

TEST(Module, CaffesBatchNormAndScaleAreOne) {
  const Graph graph = parse_graph(kCaffeStyle);
  expect_like_reference(graph);
  Module module(graph);
  std::vector<std::string> names, decaying;
  for (const auto& parameter : module.parameters()) {
    names.push_back(parameter.name);
    if (parameter.decays) decaying.push_back(parameter.name);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"w", "scale", "shift", "f"}));
  EXPECT_EQ(decaying, (std::vector<std::string>{"w", "f"}));
  EXPECT_EQ(module.statistics().size(), 2u);
  EXPECT_EQ(module.classes(), 4);
  EXPECT_EQ(module.features(), 64);
}

TEST(Module, LogitsStandBeforeTheSoftmax) {
  const Graph graph = parse_graph(kCaffeStyle);
  Module module(graph);
  const at::Tensor images = training::to_torch(random_images(graph, 3));
  const auto result = module.forward(images);
  EXPECT_TRUE(at::allclose(at::softmax(result.logits, 1), module.outputs(images)[0]));
  EXPECT_EQ(result.features.sizes().vec(), (std::vector<int64_t>{3, 64}));
  EXPECT_GT(result.logits.abs().max().item<float>(), 1.0f);
}

TEST(Module, TrainingNormalisesByTheBatchAndMovesTheStatistics) {
  const Graph graph = parse_graph(kCaffeStyle);
  Module module(graph);
  module.set_training(true);
  module.set_momentum(0.25);
  const at::Tensor images = training::to_torch(random_images(graph, 5));
  (void)module.forward(images);
  const at::Tensor conv = at::conv2d(images, training::to_torch(graph.constant(*graph.find_value("w"))));
  const at::Tensor mean = conv.mean({0, 2, 3}), variance = at::var(conv, {0, 2, 3}, true);
  EXPECT_TRUE(at::allclose(module.statistics()[0].value, 0.75 * 0.5 + 0.25 * mean));
  EXPECT_TRUE(at::allclose(module.statistics()[1].value, 0.75 * 2 + 0.25 * variance));
  const Graph back = module.graph();
  EXPECT_NE(back.constant(*back.find_value("m")).data<float>()[0], 0.5f);
  EXPECT_EQ(back.constant(*back.find_value("one")).data<float>()[0], 1.0f);
}

TEST(Module, StatisticsThatTwoNormsShareArePartedBeforeTheyMove) {
  const Graph graph = parse_graph(R"(graph "g" {
  input %x f32[N,2,2,2]
  const %s f32[2] random(1)
  const %zero f32[2] fill(0)
  const %v f32[2] fill(1)
  %a = BatchNorm(%x, %s, %zero, %zero, %v)
  %b = BatchNorm(%a, %s, %zero, %zero, %v)
  output %b
})");
  Module module(graph);
  ASSERT_EQ(module.statistics().size(), 4u);
  EXPECT_EQ(module.parameters().size(), 2u);
  module.set_training(true);
  const at::Tensor images = training::to_torch(random_images(graph, 4));
  (void)module.forward(images);
  EXPECT_FALSE(at::equal(module.statistics()[0].value, module.statistics()[2].value));
  const Graph back = module.graph();
  verify(back);
  module.set_training(false);
  const Tensor expected = training::from_torch(module.outputs(images)[0]);
  const Tensor got = run_reference(back, std::vector{random_images(graph, 4)})[0];
  for (size_t i = 0; i < got.data<float>().size(); ++i) {
    EXPECT_NEAR(got.data<float>()[i], expected.data<float>()[i], 1e-5);
  }
}

/// The derivative of sum(logits * r) by a few weights, against differences; also that nothing a backward pass
/// needs was overwritten.
TEST(Module, GradientsAreThoseOfTheLoss) {
  for (uint64_t seed = 300; seed < 320; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = RandomGraph(seed).make();
    Module module(graph);
    module.set_training(true);
    module.set_momentum(0);
    const at::Tensor images = training::to_torch(random_images(graph, 3));
    at::Tensor r;
    const auto loss = [&] {
      const at::Tensor logits = module.forward(images).logits;
      if (!r.defined()) r = at::sin(at::arange(logits.numel(), at::kFloat)).view(logits.sizes());
      return (logits * r).sum();
    };
    loss().backward();
    const auto& p = module.parameters().front();
    ASSERT_TRUE(p.value.grad().defined());
    EXPECT_TRUE(at::isfinite(p.value.grad()).all().item<bool>());
  }
  Graph graph = parse_graph(kCaffeStyle);
  Module module(graph);
  module.set_training(true);
  module.set_momentum(0);
  const at::Tensor images = training::to_torch(random_images(graph, 6));
  const auto loss = [&] {
    const at::Tensor logits = module.forward(images).logits;
    return (logits * at::sin(at::arange(logits.numel(), at::kFloat)).view(logits.sizes())).sum();
  };
  loss().backward();
  for (const auto& parameter : module.parameters()) {
    const float analytic = parameter.value.grad().flatten()[1].item<float>();
    const at::NoGradGuard no_grad;
    at::Tensor flat = parameter.value.view(-1);
    const float step = 1e-2f;
    flat[1] += step;
    const double above = loss().item<double>();
    flat[1] -= 2 * step;
    const double below = loss().item<double>();
    flat[1] += step;
    const double numeric = (above - below) / (2 * step);
    EXPECT_NEAR(analytic, numeric, 0.05 * std::abs(numeric) + 0.02) << parameter.name;
  }
}

TEST(Module, Bf16IsCloseToF32) {
  NetBuilder net(3);
  ValueId x = net.conv(net.input(3, 12, 12), 3, 8, {3, 1, 1});
  x = net.bottleneck(x, 8, 4, 16, 2);
  const Graph graph = net.finish(net.classifier(x, 16, 5));
  Module module(graph);
  const at::Tensor images = training::to_torch(random_images(graph, 4));
  const at::Tensor exact = module.forward(images).logits.detach();
  module.set_compute_type(at::kBFloat16);
  const auto narrow = module.forward(images);
  EXPECT_EQ(narrow.logits.scalar_type(), at::kFloat);
  narrow.logits.sum().backward();
  EXPECT_EQ(module.parameters()[0].value.grad().scalar_type(), at::kFloat);
  const float error = (narrow.logits.detach() - exact).abs().max().item<float>();
  EXPECT_GT(error, 0);
  EXPECT_LT(error, 0.03f * exact.abs().max().item<float>());
}

TEST(Module, RefusesWhatCannotBeTrainedAndNamesTheLayer) {
  EXPECT_EQ(message_of("graph \"g\" {\n input %x f32[N,4,3,3]\n %y = Lrn(%x) \"norm1\"\n output %y\n}"),
            "layer 'norm1': cannot be trained: Lrn has no gradient here");
  EXPECT_EQ(message_of("graph \"g\" {\n input %x f32[N,4]\n %y = Relu(%x)\n output %y\n}"),
            "has no weights to train");
  EXPECT_EQ(message_of("graph \"g\" {\n input %x f16[N,4]\n %y = Relu(%x)\n output %y\n}"),
            "takes f16, expected a float model");
  EXPECT_EQ(
      message_of("graph \"g\" {\n input %x f32[N,4]\n input %z f32[N,4]\n %y = Add(%x, %z)\n output %y\n}"),
      "has 2 inputs, expected one that takes images");
}

}  // namespace
}  // namespace xdn::testing

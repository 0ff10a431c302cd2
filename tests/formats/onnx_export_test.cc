#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <set>

#include "base/error.h"
#include "executor/reference.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
constexpr float kInf = std::numeric_limits<float>::infinity();

/// A graph over x [N,...] that grows by one node at a time; the last value is the output y.
struct Builder {
  explicit Builder(const Dims& shape, DType dtype = DType::kF32) {
    last = graph.add_input("x", dtype, shape);
  }
  ValueId constant(const std::string& name, Tensor tensor) {
    return graph.add_constant(name, std::move(tensor));
  }
  Builder& add(OpType type, OpAttrs attrs, std::vector<ValueId> more = {}, const std::string& name = "") {
    more.insert(more.begin(), last);
    const std::string id = name.empty() ? "v" + std::to_string(graph.order().size()) : name;
    last = graph.output_of(graph.add_node(type, std::move(attrs), "node " + id, std::move(more), id));
    return *this;
  }
  Graph& finish() {
    graph.set_outputs({last});
    infer_shapes(graph);
    verify(graph);
    return graph;
  }
  Graph graph;
  ValueId last;
};

onnx::ModelProto read_proto(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  onnx::ModelProto proto;
  EXPECT_TRUE(proto.ParseFromIstream(&file));
  return proto;
}

onnx::ModelProto exported(const Graph& graph) {
  const TempDir dir;
  export_onnx(graph, dir / "m.onnx");
  return read_proto(dir / "m.onnx");
}

Graph exported_and_imported(const Graph& graph) {
  const TempDir dir;
  export_onnx(graph, dir / "m.onnx");
  return import_onnx(dir / "m.onnx");
}

/// A bounded, irregular image batch.
Tensor image(Dims dims) {
  std::replace(dims.begin(), dims.end(), kBatch, int64_t{2});
  Tensor tensor(DType::kF32, std::move(dims));
  float phase = 0;
  for (float& e : tensor.mutable_data<float>()) e = 3 * std::sin(phase += 0.7f);
  return tensor;
}

/// Exports, imports, and compares shapes and outputs: every bit, unless an epilogue became nodes of its own,
/// between which sums are rounded to float (then `epsilons` of them, relative to the largest output).
Graph expect_round_trip(Builder& builder, double epsilons = 0) {
  const Graph& before = builder.finish();
  Graph after = exported_and_imported(before);
  const Value& in = before.value(before.inputs()[0]);
  EXPECT_EQ(after.value(after.inputs()[0]).shape, in.shape);
  EXPECT_EQ(after.value(after.outputs()[0]).name, before.value(before.outputs()[0]).name);
  EXPECT_EQ(after.value(after.outputs()[0]).shape, before.value(before.outputs()[0]).shape);
  const Tensor x = image(in.shape).converted(in.dtype);
  const Tensor want = run_reference(before, {&x, 1})[0], got = run_reference(after, {&x, 1})[0];
  EXPECT_EQ(got.dtype(), want.dtype());
  EXPECT_EQ(got.dims(), want.dims());
  EXPECT_EQ(got.bytes(), want.bytes());
  if (epsilons == 0) {
    EXPECT_EQ(std::memcmp(got.raw(), want.raw(), std::min(got.bytes(), want.bytes())), 0);
    return after;
  }
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    largest = std::max(largest, std::abs(want.as_double(i)));
    difference = std::max(difference, std::abs(got.as_double(i) - want.as_double(i)));
  }
  EXPECT_LE(difference, epsilons * std::numeric_limits<float>::epsilon() * largest);
  return after;
}

ConvAttrs conv3x3(Activation act = {}) {
  ConvAttrs attrs;
  attrs.window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}};
  attrs.act = act;
  return attrs;
}

TEST(OnnxExport, ConvWithEpilogue) {
  const struct {
    Activation act;
    const char* census;
  } cases[] = {{{}, "Add:1 Conv:1"},
               {{ActKind::kRelu, 0, 0}, "Add:1 Conv:1 Relu:1"},
               {{ActKind::kLeakyRelu, 0.25f, 0}, "Add:1 Conv:1 LeakyRelu:1"},
               {{ActKind::kClip, 0, 6}, "Add:1 Clip:1 Conv:1"}};
  for (const auto& c : cases) {
    Builder b({kBatch, 3, 5, 5});
    const ValueId x = b.last;
    b.add(OpType::kConv, conv3x3(c.act),
          {b.constant("w", floats({3, 3, 3, 3}, -1, 0.03f)), b.constant("b", floats({3})), x}, "y");
    EXPECT_EQ(census(expect_round_trip(b, 4)), c.census);
  }
  Builder plain({kBatch, 4, 5, 5});
  ConvAttrs grouped = conv3x3({ActKind::kRelu, 0, 0});
  grouped.group = 2;
  grouped.window = {{3, 3}, {2, 1}, {1, 2}, {1, 2}, {0, 3}};
  plain.add(OpType::kConv, grouped, {plain.constant("w", floats({2, 2, 3, 3}, -1, 0.1f))});
  EXPECT_EQ(census(expect_round_trip(plain)), "Conv:1 Relu:1");
  Builder no_bias({kBatch, 3, 5, 5});
  const ValueId x = no_bias.last;
  no_bias.add(OpType::kConv, conv3x3(), {no_bias.constant("w", floats({3, 3, 3, 3})), kNoValue, x});
  EXPECT_EQ(census(expect_round_trip(no_bias, 4)), "Add:1 Conv:1");
}

TEST(OnnxExport, Linear) {
  Builder b({kBatch, 4});
  GemmAttrs gemm;
  gemm.alpha = 0.5f;
  gemm.beta = 2;
  gemm.trans_b = true;
  gemm.act = {ActKind::kClip, -kInf, 6};
  b.add(OpType::kGemm, gemm, {b.constant("w", floats({3, 4})), b.constant("c", floats({3}))});
  b.add(OpType::kMatMul, NoAttrs{}, {b.constant("m", floats({3, 2}))});
  EXPECT_EQ(census(expect_round_trip(b)), "Clip:1 Gemm:1 MatMul:1");
}

TEST(OnnxExport, Elementwise) {
  Builder b({kBatch, 3, 2, 2});
  const ValueId c = b.constant("c", floats({3, 1, 1}, 1)), two = b.constant("two", Tensor::scalar(2.0f));
  b.add(OpType::kRelu, NoAttrs{})
      .add(OpType::kLeakyRelu, LeakyReluAttrs{0.125f})
      .add(OpType::kPRelu, NoAttrs{}, {c});
  b.add(OpType::kClip, ClipAttrs{-1, kInf})
      .add(OpType::kSigmoid, NoAttrs{})
      .add(OpType::kHardSigmoid, HardSigmoidAttrs{0.5f, 0.25f});
  b.add(OpType::kHardSwish, NoAttrs{}).add(OpType::kAdd, NoAttrs{}, {c}).add(OpType::kSub, NoAttrs{}, {c});
  b.add(OpType::kMul, NoAttrs{}, {c}).add(OpType::kDiv, NoAttrs{}, {c}).add(OpType::kMax, NoAttrs{}, {c});
  b.add(OpType::kPow, NoAttrs{}, {two})
      .add(OpType::kIdentity, NoAttrs{})
      .add(OpType::kCast, CastAttrs{DType::kF64});
  const Graph after = expect_round_trip(b);
  EXPECT_EQ(after.order().size(), b.graph.order().size());
}

TEST(OnnxExport, Normalization) {
  Builder b({kBatch, 3, 4, 4});
  const auto c = [&](const char* name) { return b.constant(name, floats({3}, 1)); };
  b.add(OpType::kBatchNorm, BatchNormAttrs{0.01f}, {c("scale"), c("bias"), c("mean"), c("variance")});
  LrnAttrs lrn;
  lrn.size = 3;
  lrn.alpha = 0.5f;
  b.add(OpType::kLrn, lrn).add(OpType::kSoftmax, SoftmaxAttrs{1, false});
  b.add(OpType::kReduceMean, ReduceAttrs{{2}, false});
  expect_round_trip(b);
}

TEST(OnnxExport, SoftmaxOverSeveralAxes) {
  Builder b({kBatch, 3, 4});
  b.add(OpType::kSoftmax, SoftmaxAttrs{1, true}, {}, "y");
  EXPECT_EQ(census(expect_round_trip(b)), "Reshape:2 Softmax:1");
}

TEST(OnnxExport, Pooling) {
  Builder b({kBatch, 2, 9, 9});
  PoolAttrs attrs;
  attrs.window = {{3, 3}, {2, 2}, {1, 1}, {0, 1}, {1, 1}};
  attrs.ceil_mode = true;
  b.add(OpType::kMaxPool, attrs);
  attrs.count_include_pad = true;
  b.add(OpType::kAveragePool, attrs).add(OpType::kGlobalAveragePool, NoAttrs{});
  expect_round_trip(b);
}

TEST(OnnxExport, Layout) {
  Builder b({kBatch, 4, 3, 2});
  b.add(OpType::kTranspose, TransposeAttrs{{0, 2, 1, 3}}).add(OpType::kReshape, ReshapeAttrs{{kBatch, 3, 8}});
  b.add(OpType::kSlice, SliceAttrs{{2, 1}, {7, 0}, {-1, 2}, {-2, 1}});
  b.add(OpType::kPad, PadAttrs{PadMode::kConstant, {0, 1, 0}, {0, 0, 2}, 1.5f});
  b.add(OpType::kPad, PadAttrs{PadMode::kReflect, {0, 1, 1}, {0, 1, 1}, 0})
      .add(OpType::kPad, PadAttrs{PadMode::kEdge, {0, 1, -1}, {0, 0, 2}, 0});
  b.add(OpType::kGather, AxisAttrs{1}, {b.constant("i", ints({0, 2, 1}))});
  b.add(OpType::kConcat, AxisAttrs{2}, {b.last}).add(OpType::kFlatten, FlattenAttrs{1});
  expect_round_trip(b);
}

TEST(OnnxExport, Quantization) {
  for (const DType dtype : {DType::kU8, DType::kI8, DType::kI16}) {
    Builder b({kBatch, 3, 2, 2});
    const ValueId scale = b.constant("s", Tensor::scalar(0.125f));
    b.add(OpType::kQuantizeLinear, QuantizeAttrs{1, dtype}, {scale})
        .add(OpType::kDequantizeLinear, QuantizeAttrs{1, dtype}, {scale});
    const ValueId scales = b.constant("per channel", floats({3}, 0.1f, 0.1f)),
                  zeros = b.constant("z", Tensor(dtype, {3}));
    b.add(OpType::kQuantizeLinear, QuantizeAttrs{1, dtype}, {scales, zeros});
    b.add(OpType::kDequantizeLinear, QuantizeAttrs{1, dtype}, {scales, zeros});
    expect_round_trip(b);
    EXPECT_EQ(exported(b.graph).opset_import(0).version(), dtype == DType::kI16 ? 21 : 13);
  }
}

TEST(OnnxExport, TheFileDescribesItself) {
  Builder b({kBatch, 3, 2, 2});
  b.add(OpType::kRelu, NoAttrs{}, {}, "y");
  b.graph.name = "net";
  b.graph.metadata["xdn.note"] = "kept\nline by line";
  const onnx::ModelProto proto = exported(b.finish());
  EXPECT_EQ(proto.ir_version(), 8);
  EXPECT_EQ(proto.producer_name(), "xdn");
  ASSERT_EQ(proto.opset_import_size(), 1);
  EXPECT_EQ(proto.opset_import(0).version(), 13);
  EXPECT_EQ(proto.graph().name(), "net");
  const auto& shape = proto.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(shape.dim(0).dim_param(), "N");
  EXPECT_EQ(shape.dim(1).dim_value(), 3);
  EXPECT_EQ(proto.graph().output(0).name(), "y");
  EXPECT_EQ(proto.graph().node(0).name(), "node y");
  const Graph after = exported_and_imported(b.graph);
  EXPECT_EQ(after.name, "net");
  EXPECT_EQ(after.metadata.at("xdn.note"), "kept\nline by line");
}

/// What ONNX's checker asks of a graph: every value defined once and before its use, every initializer read.
void expect_clean(const onnx::ModelProto& proto) {
  EXPECT_GE(proto.ir_version(), 7);
  ASSERT_EQ(proto.opset_import_size(), 1);
  EXPECT_GE(proto.opset_import(0).version(), 13);
  EXPECT_FALSE(proto.graph().name().empty());
  std::set<std::string> defined, read, nodes, keys;
  const auto define = [&](const std::string& name) { EXPECT_TRUE(defined.insert(name).second) << name; };
  for (const auto& input : proto.graph().input()) define(input.name());
  for (const auto& tensor : proto.graph().initializer()) define(tensor.name());
  for (const auto& node : proto.graph().node()) {
    EXPECT_TRUE(nodes.insert(node.name()).second) << node.name();
    for (const std::string& input : node.input()) {
      EXPECT_TRUE(input.empty() || defined.contains(input)) << input;
      read.insert(input);
    }
    for (const std::string& output : node.output()) define(output);
  }
  for (const auto& output : proto.graph().output()) EXPECT_TRUE(defined.contains(output.name()));
  for (const auto& tensor : proto.graph().initializer())
    EXPECT_TRUE(read.contains(tensor.name())) << tensor.name();
  for (const auto& entry : proto.metadata_props())
    EXPECT_TRUE(keys.insert(entry.key()).second) << entry.key();
}

TEST(OnnxExport, TheSharedCaffeModelIsClean) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const std::string stem = (*models / "resnet50-cifar10" / "resnet50").string();
  const onnx::ModelProto proto = exported(import_caffe(stem + ".prototxt", stem + ".caffemodel"));
  expect_clean(proto);
}

TEST(OnnxExport, VersionAndStepsAreInTheFile) {
  Builder b({kBatch, 3});
  b.add(OpType::kRelu, NoAttrs{}, {}, "y");
  b.graph.metadata["xdn.steps"] = "fuse --level none";
  b.graph.metadata["xdn.version"] = "of another file";
  const onnx::ModelProto proto = exported(b.finish());
  expect_clean(proto);
  EXPECT_FALSE(proto.producer_version().empty());
  std::map<std::string, std::string> found;
  for (const auto& entry : proto.metadata_props()) found[entry.key()] = entry.value();
  EXPECT_EQ(found, (std::map<std::string, std::string>{{"xdn.steps", "fuse --level none"},
                                                       {"xdn.version", proto.producer_version()}}));
}

TEST(OnnxExport, WeightsBesideTheModel) {
  Builder b({kBatch, 3});
  const Tensor large = image({3, 300}), small = image({300, 1});
  b.add(OpType::kMatMul, NoAttrs{}, {b.constant("large", large)});
  b.add(OpType::kMatMul, NoAttrs{}, {b.constant("small", small.reshaped({300, 1}))});
  b.add(OpType::kAdd, NoAttrs{}, {b.constant("tiny", image({1}))});
  const TempDir dir;
  export_onnx(b.finish(), dir / "m.onnx", {.external_data = true});
  const onnx::ModelProto proto = read_proto(dir / "m.onnx");
  expect_clean(proto);
  std::map<std::string, std::string> where;
  for (const auto& tensor : proto.graph().initializer()) {
    for (const auto& entry : tensor.external_data()) where[tensor.name() + " " + entry.key()] = entry.value();
  }
  EXPECT_EQ(where, (std::map<std::string, std::string>{{"large location", "m.onnx.data"},
                                                       {"large offset", "0"},
                                                       {"large length", "3600"},
                                                       {"small location", "m.onnx.data"},
                                                       {"small offset", "4096"},
                                                       {"small length", "1200"}}));
  EXPECT_EQ(std::filesystem::file_size(dir / "m.onnx.data"), 4096u + 1200u);
  const Tensor x = image({2, 3});
  const Tensor expected = run_reference(b.graph, std::span(&x, 1))[0];
  const Tensor found = run_reference(import_onnx(dir / "m.onnx"), std::span(&x, 1))[0];
  for (int64_t i = 0; i < expected.size(); ++i) EXPECT_EQ(found.as_double(i), expected.as_double(i));
}

TEST(OnnxExport, WeightsInHalfTheBytes) {
  Builder b({kBatch, 32});
  const Tensor w = image({32, 300});
  Tensor large = image({300, 2});
  large.mutable_data<float>()[7] = 1e5F;
  b.add(OpType::kMatMul, NoAttrs{}, {b.constant("w", w)});
  b.add(OpType::kAdd, NoAttrs{}, {b.constant("bias", image({300}))});
  b.add(OpType::kMatMul, NoAttrs{}, {b.constant("large", large)});
  const TempDir dir;
  for (const bool external : {false, true}) {
    export_onnx(b.finish(), dir / "m.onnx", {.external_data = external, .half_weights = true});
    const onnx::ModelProto proto = read_proto(dir / "m.onnx");
    expect_clean(proto);
    std::map<std::string, int> types;
    for (const auto& tensor : proto.graph().initializer()) types[tensor.name()] = tensor.data_type();
    EXPECT_EQ(types, (std::map<std::string, int>{{"w/f16", onnx::TensorProto::FLOAT16},
                                                 {"bias", onnx::TensorProto::FLOAT},
                                                 {"large", onnx::TensorProto::FLOAT}}));
    const Graph back = import_onnx(dir / "m.onnx");
    const ValueId id = back.node(back.order()[0]).inputs[1];
    ASSERT_TRUE(back.is_constant(id)) << "the Cast is part of how weights are stored";
    ASSERT_EQ(back.constant(id).dtype(), DType::kF32);
    for (int64_t i = 0; i < w.size(); ++i)
      ASSERT_EQ(back.constant(id).as_double(i),
                static_cast<double>(static_cast<float>(Half(static_cast<float>(w.as_double(i))))));
  }
}

TEST(OnnxExport, SubnormalWeightsBecomeZero) {
  Builder b({kBatch, 3});
  const float tiny = std::numeric_limits<float>::denorm_min();
  b.add(OpType::kAdd, NoAttrs{}, {b.constant("c", Tensor::of({3}, std::vector<float>{tiny, -tiny, 1}))});
  const Graph after = exported_and_imported(b.finish());
  const auto c = value_of(after, "c").constant->data<float>();
  EXPECT_EQ(c[0], 0);
  EXPECT_EQ(c[1], 0);
  EXPECT_EQ(c[2], 1);
}

TEST(OnnxExport, NodeNamesDiffer) {
  Builder b({kBatch, 3});
  b.add(OpType::kRelu, NoAttrs{}, {}, "a").add(OpType::kRelu, NoAttrs{}, {}, "b");
  for (const NodeId id : b.graph.order()) b.graph.node(id).name = "same";
  const onnx::ModelProto proto = exported(b.finish());
  EXPECT_EQ(proto.graph().node(0).name(), "same");
  EXPECT_EQ(proto.graph().node(1).name(), "same.1");
}

TEST(OnnxExport, ConstantOutput) {
  Graph graph;
  graph.add_input("x", DType::kF32, {kBatch, 3});
  graph.set_outputs({graph.add_constant("c", floats({2}))});
  const Graph after = exported_and_imported(graph);
  EXPECT_EQ(value_of(after, "c").constant->as_double(1), 1.0);
}

TEST(OnnxExport, OpsetIsTheOldestThatWillDo) {
  Builder b({kBatch, 2, 8, 8});
  PoolAttrs dilated;
  dilated.window = {{2, 2}, {1, 1}, {2, 2}, {0, 0}, {0, 0}};
  b.add(OpType::kAveragePool, dilated).add(OpType::kReduceMean, ReduceAttrs{{2, 3}, true});
  expect_round_trip(b);
  const onnx::ModelProto proto = exported(b.graph);
  EXPECT_EQ(proto.opset_import(0).version(), 19);
  EXPECT_EQ(proto.ir_version(), 9);
  EXPECT_EQ(proto.graph().node(1).input_size(), 2) << "the axes are an input since opset 18";
}

std::string export_error(const Graph& graph, const std::string& path) {
  try {
    export_onnx(graph, path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(OnnxExport, WhatOnnxCannotSay) {
  const TempDir dir;
  Builder b({kBatch, 3, 4, 4});
  LrnAttrs lrn;
  lrn.within_channel = true;
  b.add(OpType::kLrn, lrn, {}, "y");
  EXPECT_THAT(export_error(b.finish(), dir / "m.onnx"),
              HasSubstr("m.onnx: layer 'node y': local response normalization"));
  EXPECT_TRUE(std::filesystem::is_empty(dir.path())) << "no partial file";
  Builder good({kBatch, 3});
  good.add(OpType::kRelu, NoAttrs{});
  EXPECT_THAT(export_error(good.finish(), dir / "absent/m.onnx"), HasSubstr("absent/m.onnx: cannot create"));
}

TEST(OnnxExport, SharedModelsSurvive) {
  if (!models_dir()) GTEST_SKIP() << "skipped: no shared models";
  for (const char* name : {"resnet20-cifar10/resnet20.onnx", "resnet50-cifar10/resnet50-qdq.onnx"}) {
    Graph before = import_onnx((*models_dir() / name).string());
    Graph after = exported_and_imported(before);
    // How many nodes the file has: fewer once shape computations and constants are gone.
    EXPECT_EQ(after.metadata["source_layers"], std::to_string(before.order().size()));
    before.metadata.erase("source_layers");
    after.metadata.erase("source_layers");
    EXPECT_EQ(census(after), census(before));
    EXPECT_TRUE(print(after) == print(before)) << name;
  }
}

}  // namespace
}  // namespace xdn::testing

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <random>

#include "base/error.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

/// A small network with most kinds of attributes and shape computations.
OnnxModel sample() {
  OnnxModel m;
  m.input("x", {-1, 3, 8, 8}).output("y").output("z");
  m.initializer("w", floats({4, 3, 3, 3})).initializer("b", floats({4}));
  m.initializer("fc", floats({4, 5})).initializer("idx", ints({0})).initializer("-1", ints({-1}));
  m.initializer("starts", ints({0, 1})).initializer("ends", ints({7, 7})).initializer("axes", ints({2, 3}));
  m.initializer("scale", Tensor::scalar(0.5f)).initializer("pads", ints({0, 0, 1, 1, 0, 0, 1, 1}));
  m.node("Conv", {"x", "w", "b"}, {"c"},
         {attr("pads", Dims{1, 1, 1, 1}), attr("strides", Dims{1, 1}), attr("group", 1)});
  m.node("BatchNormalization", {"c", "b", "b", "b", "b"}, {"n"}, {attr("epsilon", 0.5f)});
  m.node("Slice", {"n", "starts", "ends", "axes"}, {"s"})
      .node("Pad", {"s", "pads"}, {"p"}, {attr("mode", "edge")});
  m.node("MaxPool", {"p"}, {"m"},
         {attr("kernel_shape", Dims{2, 2}), attr("auto_pad", "SAME_LOWER"), attr("ceil_mode", 1)});
  m.node("QuantizeLinear", {"m", "scale"}, {"q"}, {attr("axis", 1)})
      .node("DequantizeLinear", {"q", "scale"}, {"d"});
  m.node("GlobalAveragePool", {"d"}, {"g"})
      .node("Shape", {"g"}, {"sh"})
      .node("Gather", {"sh", "idx"}, {"n0"});
  m.node("Concat", {"n0", "-1"}, {"t"}, {attr("axis", 0)}).node("Reshape", {"g", "t"}, {"f"});
  m.node("Gemm", {"f", "fc"}, {"y"}).node("Split", {"f"}, {"f0", "f1"}, {attr("axis", 1)});
  m.node("Transpose", {"d"}, {"tr"}, {attr("perm", Dims{0, 2, 3, 1})})
      .node("Concat", {"f0", "f1"}, {"z"}, {attr("axis", 1)});
  return m;
}

/// Imports; anything but success or an input error fails. Returns whether it was refused.
bool is_refused(const std::string& path) {
  try {
    import_onnx(path);
    return false;
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput) << e.what();
    EXPECT_EQ(e.file(), path);
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    return true;
  }
}

TEST(OnnxBadModel, TheSampleItselfIsFine) {
  const Graph graph = import_model(sample());
  EXPECT_EQ(value_of(graph, "y").shape, (Dims{kBatch, 5}));
  EXPECT_EQ(value_of(graph, "z").shape, (Dims{kBatch, 4}));
}

TEST(OnnxBadModel, EveryTruncation) {
  const TempDir dir;
  const std::string bytes = sample().bytes(), path = dir / "cut.onnx";
  size_t refused = 0, tried = 0;
  for (size_t length = 0; length < bytes.size(); length += 7, ++tried) {
    write_file(path, bytes.substr(0, length));
    refused += is_refused(path) ? 1 : 0;
  }
  EXPECT_GE(refused + 1, tried) << "only a cut between the last two fields can leave a whole model";
}

TEST(OnnxBadModel, BitFlips) {
  const TempDir dir;
  const std::string bytes = sample().bytes(), path = dir / "flipped.onnx";
  for (unsigned seed = 0; seed < 400; ++seed) {
    std::mt19937 random(seed);
    std::string damaged = bytes;
    for (unsigned i = 0; i < 1 + seed % 6; ++i) {
      damaged[random() % damaged.size()] ^= static_cast<char>(1u << (random() % 8));
    }
    write_file(path, damaged);
    is_refused(path);
  }
}

/// Numbers of the file replaced by extreme ones, which flips of single bits rarely make.
TEST(OnnxBadModel, ExtremeNumbers) {
  const int64_t extremes[] = {0,         1,        -1, 2, 17, 1 << 20, int64_t{1} << 31, int64_t{1} << 40,
                              INT64_MAX, INT64_MIN};
  const TempDir dir;
  const std::string path = dir / "extreme.onnx";
  for (unsigned seed = 0; seed < 600; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](int size) { return static_cast<int>(random() % static_cast<unsigned>(size)); };
    OnnxModel m = sample();
    auto& graph = *m.proto.mutable_graph();
    const int64_t value = extremes[pick(static_cast<int>(std::size(extremes)))];
    const unsigned kind = random() % 4;
    if (kind == 0) {
      auto& shape = *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
      shape.mutable_dim(pick(shape.dim_size()))->set_dim_value(value);
    } else if (kind == 1) {
      auto& tensor = *graph.mutable_initializer(pick(graph.initializer_size()));
      if (tensor.data_type() == onnx::TensorProto::INT64) {
        const auto at = static_cast<size_t>(pick(static_cast<int>(tensor.raw_data().size() / 8))) * 8;
        tensor.mutable_raw_data()->replace(at, 8, reinterpret_cast<const char*>(&value), 8);
      } else if (tensor.dims_size() > 0) {
        tensor.set_dims(pick(tensor.dims_size()), value);
      }
    } else {
      auto& node = *graph.mutable_node(pick(graph.node_size()));
      if (node.attribute_size() == 0) continue;
      auto& attribute = *node.mutable_attribute(pick(node.attribute_size()));
      if (attribute.ints_size() > 0) {
        attribute.set_ints(pick(attribute.ints_size()), value);
      } else {
        attribute.set_i(value);
      }
    }
    write_file(path, m.bytes());
    is_refused(path);
  }
}

TEST(OnnxBadModel, NotAModel) {
  const TempDir dir;
  const auto error = [&](const std::string& bytes) {
    write_file(dir / "m.onnx", bytes);
    return import_error_of_file(dir / "m.onnx");
  };
  EXPECT_THAT(error(""), HasSubstr("m.onnx: is not an ONNX model (the file is empty)"));
  EXPECT_THAT(error("#!/bin/sh\necho hello\n"), HasSubstr("is not an ONNX model"));
  EXPECT_THAT(error(std::string(100, '\0')), HasSubstr("is not an ONNX model"));
  EXPECT_THAT(error("\x08\x08"), HasSubstr("it holds no graph"));
  EXPECT_THAT(error(sample().bytes().substr(0, 200)), HasSubstr("cut off or damaged"));
  EXPECT_THAT(import_error_of_file(dir / "absent.onnx"), HasSubstr("cannot open: No such file"));
  std::filesystem::create_directory(dir.path() / "folder.onnx");
  EXPECT_THAT(import_error_of_file(dir / "folder.onnx"), HasSubstr("is a folder"));
}

/// Nested messages beyond the limit do not exhaust the stack.
TEST(OnnxBadModel, DeepNesting) {
  OnnxModel m = sample();
  onnx::GraphProto* graph = m.proto.mutable_graph();
  for (int i = 0; i < 200; ++i) {
    auto& attribute = *graph->add_node()->add_attribute();
    attribute.set_name("body");
    graph = attribute.mutable_g();
  }
  EXPECT_THAT(import_error(m), HasSubstr("is not an ONNX model"));
}

struct Case {
  const char* name;
  std::function<void(OnnxModel&)> damage;
  const char* expected;
};

onnx::GraphProto& graph_of(OnnxModel& m) { return *m.proto.mutable_graph(); }

const Case kCases[] = {
    {"UnknownOp", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_op_type("Foo"); },
     "layer 'node of c': operator 'Foo' (domain '') is not supported"},
    {"CustomDomain", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_domain("com.example"); },
     "operator 'Conv' (domain 'com.example') is not supported"},
    {"NewOpset", [](OnnxModel& m) { m.proto.mutable_opset_import(0)->set_version(22); },
     "has opset 22, expected at most 21"},
    {"NoOpset", [](OnnxModel& m) { m.proto.clear_opset_import(); }, "names no operator set"},
    {"NegativeOpset", [](OnnxModel& m) { m.proto.mutable_opset_import(0)->set_version(-3); },
     "names no operator set"},
    {"NoIrVersion", [](OnnxModel& m) { m.proto.clear_ir_version(); }, "is not an ONNX model"},
    {"NoOutputs", [](OnnxModel& m) { graph_of(m).clear_output(); }, "no outputs"},
    {"UnknownOutput", [](OnnxModel& m) { graph_of(m).mutable_output(0)->set_name("q9"); },
     "output 'q9' is computed by no node"},
    {"OutputTwice", [](OnnxModel& m) { graph_of(m).mutable_output(1)->set_name("y"); },
     "output 'y' is declared twice"},
    {"Functions", [](OnnxModel& m) { m.proto.add_functions()->set_name("f"); }, "functions"},
    {"SparseInitializer", [](OnnxModel& m) { graph_of(m).add_sparse_initializer(); }, "sparse initializers"},
    {"MissingInput", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_input(1, "w9"); },
     "layer 'node of c': input 'w9' is computed by no node"},
    {"Cycle", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_input(0, "n"); },
     "input 'n' is used before it is computed"},
    {"SelfLoop", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_input(0, "c"); }, "used before"},
    {"DefinedTwice", [](OnnxModel& m) { graph_of(m).mutable_node(1)->set_output(0, "c"); },
     "layer 'node of n': value 'c' is defined twice"},
    {"OverwritesInput", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_output(0, "x"); },
     "value 'x' is defined twice"},
    {"OverwritesInitializer", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_output(0, "w"); },
     "value 'w' is defined twice"},
    {"InitializerTwice", [](OnnxModel& m) { graph_of(m).mutable_initializer(1)->set_name("w"); },
     "initializer 'w' is given twice"},
    {"InputTwice", [](OnnxModel& m) { m.input("x", {1}); }, "input 'x' is declared twice"},
    {"UnnamedInput", [](OnnxModel& m) { m.input("", {1}); }, "an input has no name"},
    {"NegativeExtent",
     [](OnnxModel& m) {
       m.input("u", {2, 3});
       graph_of(m)
           .mutable_input(1)
           ->mutable_type()
           ->mutable_tensor_type()
           ->mutable_shape()
           ->mutable_dim(1)
           ->set_dim_value(-3);
     },
     "input 'u' has the negative extent -3"},
    {"HugeInput",
     [](OnnxModel& m) {
       m.input("u", {INT64_MAX, INT64_MAX});
     },
     "larger"},
    {"ManyDimensions", [](OnnxModel& m) { m.input("u", Dims(40, 1)); }, "more than 16 dimensions"},
    {"NoShape",
     [](OnnxModel& m) {
       m.input("u", {});
       graph_of(m).mutable_input(1)->mutable_type()->mutable_tensor_type()->clear_shape();
     },
     "input 'u' has no shape"},
    {"StringInput", [](OnnxModel& m) { m.input("u", {1}, onnx::TensorProto::STRING); },
     "input 'u' has element type string"},
    {"SequenceInput",
     [](OnnxModel& m) {
       m.input("u", {1});
       graph_of(m).mutable_input(1)->mutable_type()->mutable_sequence_type();
     },
     "input 'u' is not a tensor"},
    {"WrongWeights",
     [](OnnxModel& m) {
       graph_of(m).mutable_initializer(0)->set_dims(1, 9);
       graph_of(m).mutable_initializer(0)->set_dims(2, 1);
     },
     "layer 'node of c'"},
    {"ShortWeights", [](OnnxModel& m) { graph_of(m).mutable_initializer(0)->mutable_raw_data()->resize(11); },
     "tensor 'w': holds 11 bytes, expected 432"},
    {"NegativeWeights", [](OnnxModel& m) { graph_of(m).mutable_initializer(0)->set_dims(0, -4); },
     "negative extent"},
    {"ZeroStride", [](OnnxModel& m) { graph_of(m).mutable_node(0)->mutable_attribute(1)->set_ints(0, 0); },
     "layer 'node of c': attribute 'strides' holds 0"},
    {"ZeroGroup", [](OnnxModel& m) { graph_of(m).mutable_node(0)->mutable_attribute(2)->set_i(0); }, "group"},
    {"NoNodeOutput", [](OnnxModel& m) { graph_of(m).mutable_node(0)->clear_output(); }, "has no outputs"},
    {"UnnamedNodeOutput", [](OnnxModel& m) { graph_of(m).mutable_node(0)->set_output(0, ""); },
     "has no name"},
    {"TooFewInputs",
     [](OnnxModel& m) {
       graph_of(m).mutable_node(0)->mutable_input()->RemoveLast();
       graph_of(m).mutable_node(0)->mutable_input()->RemoveLast();
     },
     "input 1 (W) is missing"},
    {"FunctionAttribute",
     [](OnnxModel& m) { graph_of(m).mutable_node(0)->mutable_attribute(0)->set_ref_attr_name("a"); },
     "refers to a function's attribute"},
};

class OnnxBadCase : public ::testing::TestWithParam<Case> {};

TEST_P(OnnxBadCase, IsRefused) {
  OnnxModel m = sample();
  GetParam().damage(m);
  const std::string error = import_error(m);
  EXPECT_THAT(error, HasSubstr(GetParam().expected));
  EXPECT_THAT(error, HasSubstr("model.onnx: "));
}

INSTANTIATE_TEST_SUITE_P(All, OnnxBadCase, ::testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(OnnxBadModel, SubgraphOperators) {
  OnnxModel m;
  m.input("x", {-1, 2}).output("y");
  onnx::AttributeProto body;
  body.set_name("then_branch");
  body.set_type(onnx::AttributeProto::GRAPH);
  body.mutable_g();
  m.node("If", {"x"}, {"y"}, {body});
  EXPECT_THAT(import_error(m), HasSubstr("operator 'If'"));
}

/// Names from the file reach the terminal without control bytes.
TEST(OnnxBadModel, NamesArePrintable) {
  OnnxModel m = sample();
  graph_of(m).mutable_node(0)->set_op_type("Fo\x1b[31m\n");
  graph_of(m).mutable_node(0)->set_name("evil\nlayer");
  EXPECT_THAT(import_error(m), HasSubstr("layer 'evil?layer': operator 'Fo?[31m?'"));
}

}  // namespace
}  // namespace xdn::testing

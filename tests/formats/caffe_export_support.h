#pragma once

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <limits>

#include "formats/caffe_test_support.h"

namespace xdn::testing {

/// A graph as the files that export_caffe writes.
struct Exported {
  explicit Exported(const Graph& graph, const MluLayers& mlu = {}) {
    const TempDir dir;
    export_caffe(graph, dir / "net.prototxt", dir / "net.caffemodel", mlu);
    const auto read = [&](const char* name) {
      std::ifstream file(dir / name, std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), {});
    };
    prototxt = read("net.prototxt");
    caffemodel = read("net.caffemodel");
    EXPECT_TRUE(weights.ParseFromString(caffemodel));
    google::protobuf::TextFormat::Parser parser;
    parser.AllowUnknownField(true);
    EXPECT_TRUE(parser.ParseFromString(prototxt, &net));
  }
  Graph import() const { return import_texts(prototxt, caffemodel); }
  const caffe::LayerParameter& layer(const std::string& name) const {
    for (const auto& each : net.layer()) {
      if (each.name() == name) return each;
    }
    ADD_FAILURE() << "no layer " << name << " in " << prototxt;
    return caffe::LayerParameter::default_instance();
  }
  /// "TYPE NAME" of all layers but the inputs.
  std::vector<std::string> layers() const {
    std::vector<std::string> out;
    for (const auto& each : net.layer()) {
      if (each.type() != "Input") out.push_back(each.type() + " " + each.name());
    }
    return out;
  }

  std::string prototxt, caffemodel;
  caffe::NetParameter net, weights;
};

/// Inputs with a batch of two.
inline std::vector<Tensor> noise_inputs(const Graph& graph) {
  std::vector<Tensor> inputs;
  for (const ValueId id : graph.inputs()) {
    Dims dims = graph.value(id).shape;
    std::replace(dims.begin(), dims.end(), kBatch, int64_t{2});
    inputs.push_back(noise_tensor(dims, static_cast<uint32_t>(inputs.size()) + 5));
  }
  return inputs;
}

/// Both compute the same up to a rounding or two in each of `roundings` operations, of values as large as any
/// in the first graph.
inline void expect_same_outputs(const Graph& first, const Graph& second, int roundings) {
  const std::vector<Tensor> inputs = noise_inputs(first);
  std::map<std::string, Tensor> values;
  const std::vector<Tensor> expected = run_reference(first, inputs, &values);
  double largest = 0;
  for (const auto& [name, tensor] : values) {
    for (int64_t i = 0; i < tensor.size(); ++i) largest = std::max(largest, std::abs(tensor.as_double(i)));
  }
  const double tolerance = roundings * double{std::numeric_limits<float>::epsilon()} * largest;
  const std::vector<Tensor> found = run_reference(second, inputs);
  ASSERT_EQ(found.size(), expected.size());
  EXPECT_EQ(output_names(second), output_names(first));
  for (size_t i = 0; i < found.size(); ++i) {
    ASSERT_EQ(found[i].dims(), expected[i].dims());
    for (int64_t j = 0; j < found[i].size(); ++j)
      ASSERT_NEAR(found[i].as_double(j), expected[i].as_double(j), tolerance)
          << "output " << i << " at " << j;
  }
}

/// Exports, imports and compares, with the free batch still free.
inline Exported expect_round_trip(const Graph& graph, int roundings = 4) {
  Exported files(graph);
  const Graph again = files.import();
  EXPECT_EQ(again.value(again.inputs()[0]).shape, graph.value(graph.inputs()[0]).shape);
  expect_same_outputs(graph, again, roundings);
  return files;
}
inline Exported expect_round_trip(const std::string& text, int roundings = 4) {
  return expect_round_trip(parse_graph(text), roundings);
}

/// The one line that exporting fails with; nothing is left behind.
inline std::string export_failure(const Graph& graph, const MluLayers& mlu = {}) {
  const TempDir dir;
  try {
    export_caffe(graph, dir / "net.prototxt", dir / "net.caffemodel", mlu);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
    std::string line = error.what();
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    const std::string folder = dir.path().string() + "/";
    if (const size_t at = line.find(folder); at != std::string::npos) line.erase(at, folder.size());
    return line;
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline std::string export_failure(const std::string& text) { return export_failure(parse_graph(text)); }

}  // namespace xdn::testing

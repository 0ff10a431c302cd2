#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "caffe.pb.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "support/shared_data.h"

namespace xdn::testing {

using Floats = std::vector<float>;

/// Deterministic values in [-1, 1) without a pattern that a wrong index could hide in.
inline Floats noise(int64_t count, uint32_t seed = 1) {
  Floats out;
  uint32_t state = seed * 2654435761u + 12345u;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    out.push_back(static_cast<float>(static_cast<double>(state >> 8) / (1 << 23) - 1.0));
  }
  return out;
}

inline Tensor noise_tensor(const Dims& dims, uint32_t seed = 1) {
  return Tensor::of(dims, noise(element_count(dims), seed));
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

inline void set_blob(caffe::BlobProto& blob, const Dims& dims, const Floats& values) {
  for (const int64_t dim : dims) blob.mutable_shape()->add_dim(dim);
  if (dims.empty()) blob.mutable_shape();
  blob.mutable_data()->Add(values.begin(), values.end());
}

/// A caffemodel in the making.
class WeightsFile {
 public:
  struct Blob {
    Dims dims;
    Floats values;
  };
  WeightsFile() { net_.add_layer()->set_name("first"); }

  WeightsFile& add(const std::string& layer, const std::vector<Blob>& blobs) {
    caffe::LayerParameter* added = net_.add_layer();
    added->set_name(layer);
    for (const Blob& blob : blobs) set_blob(*added->add_blobs(), blob.dims, blob.values);
    return *this;
  }
  /// Blobs of these shapes full of noise.
  WeightsFile& add_noise(const std::string& layer, const std::vector<Dims>& shapes) {
    std::vector<Blob> blobs;
    for (const Dims& dims : shapes) blobs.push_back({dims, noise(element_count(dims), seed_++)});
    return add(layer, blobs);
  }
  caffe::NetParameter& net() { return net_; }
  std::string bytes() const { return net_.SerializeAsString(); }

 private:
  caffe::NetParameter net_;
  uint32_t seed_ = 7;
};

inline Graph import_texts(const std::string& prototxt, const std::string& caffemodel) {
  const TempDir dir;
  write_text(dir / "net.prototxt", prototxt);
  write_text(dir / "net.caffemodel", caffemodel);
  return import_caffe(dir / "net.prototxt", dir / "net.caffemodel");
}

inline Graph import_texts(const std::string& prototxt, const WeightsFile& weights = {}) {
  return import_texts(prototxt, weights.bytes());
}

/// The one line an import fails with, temporary folder cut off; empty, and a test failure, where it does not
/// fail.
inline std::string import_failure(const std::string& prototxt, const std::string& caffemodel) {
  const TempDir dir;
  write_text(dir / "net.prototxt", prototxt);
  write_text(dir / "net.caffemodel", caffemodel);
  try {
    import_caffe(dir / "net.prototxt", dir / "net.caffemodel");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    std::string line = error.what();
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    const std::string folder = dir.path().string() + "/";
    for (size_t at = line.find(folder); at != std::string::npos; at = line.find(folder))
      line.erase(at, folder.size());
    return line;
  }
  ADD_FAILURE() << "no error";
  return "";
}

inline std::string import_failure(const std::string& prototxt, const WeightsFile& weights = {}) {
  return import_failure(prototxt, weights.bytes());
}

/// An Input layer with top "data" of this shape.
inline std::string input_layer(const Dims& dims, const std::string& top = "data") {
  std::string out = "layer { name: '" + top + "' type: 'Input' top: '" + top + "' input_param { shape {";
  for (const int64_t dim : dims) out += " dim: " + std::to_string(dim);
  return out + " } } }\n";
}

/// A layer from its bottoms to its tops, named as the first top unless told.
inline std::string layer(const std::string& type, const std::vector<std::string>& bottoms,
                         const std::vector<std::string>& tops, const std::string& rest = "",
                         const std::string& name = "") {
  std::string out = "layer { name: '" + (name.empty() ? tops.front() : name) + "' type: '" + type + "'";
  for (const auto& bottom : bottoms) out += " bottom: '" + bottom + "'";
  for (const auto& top : tops) out += " top: '" + top + "'";
  return out + " " + rest + " }\n";
}

/// Every value of a run, by name.
inline std::map<std::string, Tensor> run_all(const Graph& graph, const std::vector<Tensor>& inputs) {
  std::map<std::string, Tensor> values;
  run_reference(graph, inputs, &values);
  return values;
}

/// The only output of a run.
inline Tensor run_one(const Graph& graph, const std::vector<Tensor>& inputs) {
  EXPECT_EQ(graph.outputs().size(), 1u);
  return run_reference(graph, inputs).front();
}

inline void expect_near(const Tensor& found, const Dims& dims, const Floats& expected,
                        double tolerance = 1e-5) {
  ASSERT_EQ(found.dims(), dims);
  ASSERT_EQ(static_cast<size_t>(found.size()), expected.size());
  for (int64_t i = 0; i < found.size(); ++i) {
    const double want = static_cast<double>(expected[static_cast<size_t>(i)]);
    ASSERT_NEAR(found.as_double(i), want, tolerance * std::max(1.0, std::abs(want))) << "at " << i;
  }
}

inline std::vector<std::string> output_names(const Graph& graph) {
  std::vector<std::string> out;
  for (const ValueId id : graph.outputs()) out.push_back(graph.value(id).name);
  return out;
}

inline std::vector<std::string> node_names(const Graph& graph) {
  std::vector<std::string> out;
  for (const NodeId id : graph.order()) out.push_back(graph.node(id).name);
  return out;
}

inline const Node& node_named(const Graph& graph, const std::string& name) {
  for (const NodeId id : graph.order()) {
    if (graph.node(id).name == name) return graph.node(id);
  }
  ADD_FAILURE() << "no node " << name;
  static const Node none;
  return none;
}

inline Dims shape_of(const Graph& graph, const std::string& value) {
  const auto id = graph.find_value(value);
  if (!id) {
    ADD_FAILURE() << "no value " << value;
    return {};
  }
  return graph.value(*id).shape;
}

}  // namespace xdn::testing

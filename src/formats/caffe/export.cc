#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/caffe/exporter.h"
#include "formats/caffe/preserved.h"
#include "formats/model_io.h"

namespace xdn {
namespace {

namespace pb = google::protobuf;

/// Takes out what computes nothing: dead nodes, and Identities that no output needs for its name.
Graph prepared(Graph graph) {
  graph.eliminate_dead();
  const std::vector<NodeId> order = graph.order();
  for (const NodeId id : order) {
    if (graph.node(id).type != OpType::kIdentity) continue;
    const ValueId x = graph.node(id).inputs[0], y = graph.output_of(id);
    const auto readers = [&] { return graph.users()[static_cast<size_t>(x)].size(); };
    const bool x_keeps_its_name =
        graph.value(x).producer == kNoNode || graph.is_output(x) || (graph.is_output(y) && readers() > 1);
    if (graph.is_output(y) && x_keeps_its_name) continue;
    graph.replace_uses(y, x);
    graph.erase(id);
  }
  return graph;
}

/// Subnormal numbers become zeros: a CPU takes 10 to 50 times as long for them.
void put_blob(const Tensor& tensor, caffe::BlobProto& blob) {
  for (const int64_t extent : tensor.dims()) blob.mutable_shape()->add_dim(extent);
  blob.mutable_shape();
  auto& data = *blob.mutable_data();
  const auto src = tensor.data<float>();
  data.Reserve(static_cast<int>(src.size()));
  for (const float value : src)
    data.AddAlreadyReserved(std::fpclassify(value) == FP_SUBNORMAL ? std::copysign(0.0F, value) : value);
}

void check_size(const std::deque<CaffeLayer>& layers) {
  constexpr size_t kRoom = size_t{64} << 20;  // for everything but weights
  size_t bytes = 0;
  for (const CaffeLayer& layer : layers) {
    for (const Tensor& blob : layer.blobs) bytes += blob.bytes();
  }
  if (bytes > static_cast<size_t>(std::numeric_limits<int32_t>::max()) - kRoom)
    throw input_error("has more than 2 GiB of weights, which one caffemodel cannot hold");
}

std::string heading(const Graph& graph) {
  std::string out = "# Written by XDN " XDN_VERSION;
  const auto steps = graph.metadata.find("xdn.steps");
  if (steps != graph.metadata.end()) out += ": " + printable(steps->second);
  return out + "\n";
}

std::string text_of(const pb::Message& message) {
  std::string text;
  pb::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  XDN_CHECK(printer.PrintToString(message, &text));
  return text;
}

std::string prototxt_text(const Graph& graph, const std::deque<CaffeLayer>& layers,
                          const PreservedFields& preserved) {
  caffe::NetParameter head;
  if (!graph.name.empty()) head.set_name(graph.name);
  std::string out = heading(graph) + text_of(head) + preserved.network();
  for (const CaffeLayer& layer : layers) {
    const std::string body = preserved.restore_text(layer.proto, text_of(layer.proto));
    out += "layer {\n";
    for (size_t at = 0; at < body.size();) {
      const size_t end = std::min(body.find('\n', at), body.size());
      out += "  " + body.substr(at, end - at) + "\n";
      at = end + 1;
    }
    out += "}\n";
  }
  return out;
}

/// Networks of one layer each, one after the other: read together they are the whole one, and no more than
/// one layer's weights are held twice.
void write_caffemodel(const Graph& graph, const std::deque<CaffeLayer>& layers,
                      const PreservedFields& preserved, AtomicFile& file) {
  pb::io::FileOutputStream stream(file.fd(), 1 << 18);
  const auto put = [&](const caffe::NetParameter& part) {
    if (!part.SerializeToZeroCopyStream(&stream))
      throw failure(std::string("cannot write: ") + std::strerror(stream.GetErrno()));
  };
  caffe::NetParameter head;
  head.set_name(graph.name);
  put(head);
  for (const CaffeLayer& layer : layers) {
    caffe::NetParameter part;
    *part.add_layer() = layer.proto;
    preserved.restore_wire(*part.mutable_layer(0));
    for (const Tensor& blob : layer.blobs) put_blob(blob, *part.mutable_layer(0)->add_blobs());
    put(part);
  }
  if (!stream.Flush()) throw failure(std::string("cannot write: ") + std::strerror(stream.GetErrno()));
}

}  // namespace

void export_caffe(const Graph& source, const std::string& prototxt, const std::string& caffemodel,
                  const MluLayers& mlu) {
  if (prototxt == caffemodel)
    throw input_error("stands for both the network and its weights").in_file(prototxt);
  std::deque<CaffeLayer> layers;
  const Graph graph = prepared(source);
  const PreservedFields preserved(graph);
  std::string text;
  try {
    layers = CaffeExport(graph, mlu).run();
    check_size(layers);
    for (CaffeLayer& layer : layers)
      preserved.restore(layer.proto, layer.blobs.empty() ? nullptr : layer.blobs.data());
    text = prototxt_text(graph, layers, preserved);
  } catch (Error& error) {
    throw error.in_file(prototxt);
  }
  AtomicFile weights(caffemodel), network(prototxt);
  try {
    write_caffemodel(graph, layers, preserved, weights);
  } catch (Error& error) {
    throw error.in_file(caffemodel);
  }
  network.write(text);
  // The prototxt names the pair: it comes last, and weights without it go.
  weights.commit();
  try {
    network.commit();
  } catch (const Error&) {
    (void)unlink(caffemodel.c_str());
    throw;
  }
}

}  // namespace xdn

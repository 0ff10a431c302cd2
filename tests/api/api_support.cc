#include "api/api_support.h"

#include "data/preprocess.h"
#include "executor/executor.h"
#include "formats/model_io.h"
#include "support/nets.h"
#include "support/pixels.h"
#include "support/qdq.h"

namespace xdn::testing {
namespace {

Preprocess test_preprocess(int64_t side) {
  Preprocess preprocess;
  preprocess.bgr = true;
  preprocess.scale = 1.0f / 128;
  preprocess.mean = {0.9f, 1.0f, 1.1f};
  preprocess.std = {0.5f, 0.6f, 0.7f};
  preprocess.height = preprocess.width = side;
  for (int64_t i = 0; i < kClasses; ++i) preprocess.classes.push_back("class-" + std::to_string(i));
  return preprocess;
}

std::string write(const Graph& graph, const std::string& dir, int64_t side) {
  write_preprocess(test_preprocess(side), dir + "/net.preprocess.json");
  const std::string path = dir + "/net.onnx";
  save_model(graph, path);
  return path;
}

Graph residual_net(int64_t side) {
  NetBuilder net(7);
  ValueId x = net.input(3, side, side);
  NetBuilder::ConvOptions stem{3, 1, 1};
  stem.act = ActKind::kNone;
  x = net.conv(x, 3, 16, stem);
  const auto constant = [&](const char* name, float value) {
    return net.graph.add_constant(name, Tensor::of({16}, std::vector<float>(16, value)));
  };
  x = net.add(
      OpType::kBatchNorm, BatchNormAttrs{},
      {x, constant("scale", 1.5f), constant("bias", 0.1f), constant("mean", 0.2f), constant("var", 2)});
  x = net.add(OpType::kRelu, NoAttrs{}, {x});
  x = net.bottleneck(x, 16, 8, 32, 2);
  x = net.bottleneck(x, 32, 8, 32, 1);
  return net.finish(net.classifier(x, 32, kClasses));
}

}  // namespace

std::string write_residual_net(const std::string& dir, int64_t side) {
  return write(residual_net(side), dir, side);
}

std::string write_strided_net(const std::string& dir, int64_t side) {
  NetBuilder net(8);
  const ValueId x = net.conv(net.input(3, side, side), 3, 4, {4, 4, 0});
  return write(net.finish(net.classifier(x, 4, kClasses)), dir, side);
}

std::string write_quantized_net(const std::string& dir) {
  QdqBuilder net(9);
  QdqBuilder::QConvOptions conv;
  conv.kernel = 3;
  conv.pad = 1;
  conv.act = ActKind::kRelu;
  ValueId x = net.qdq(net.input(3, 16, 16), {1.0f / 32, 128});
  x = net.qdq(net.qconv(x, 3, 16, conv), {0.05f, 0});
  x = net.qdq(net.qconv(x, 16, 16, conv), {0.05f, 0});
  x = net.add(OpType::kFlatten, FlattenAttrs{}, {net.add(OpType::kGlobalAveragePool, NoAttrs{}, {x})});
  return write(net.finish(net.qgemm(net.qdq(x, {0.05f, 0}), 16, kClasses)), dir, 16);
}

std::vector<uint8_t> random_bytes(size_t count) {
  Uniform uniform(3);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(uniform.bits());
  return bytes;
}

std::vector<float> normalised(const std::string& path, const std::vector<uint8_t>& nhwc) {
  const Preprocess p = find_preprocess(model_stem(path)).value();
  const int64_t positions = p.height * p.width;
  std::vector<float> nchw(nhwc.size());
  for (size_t at = 0; at < nhwc.size(); ++at) {
    const auto pixel = static_cast<int64_t>(at) / 3, image = pixel / positions;
    const size_t source = at % 3, c = p.bgr ? 2 - source : source;
    nchw[static_cast<size_t>((image * 3 + static_cast<int64_t>(c)) * positions + pixel % positions)] =
        (static_cast<float>(nhwc[at]) * p.scale - p.mean[c]) / p.std[c];
  }
  return nchw;
}

std::vector<float> executor_u8(const std::string& path, const std::vector<uint8_t>& nhwc, int64_t n,
                               int threads) {
  ExecOptions options;
  options.threads = threads;
  options.pixels = pixel_map(find_preprocess(model_stem(path)).value());
  Executor executor(load_model(path), options);
  std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
  executor.run_u8({nhwc.data(), {}}, n, out.data());
  return out;
}

std::vector<float> executor_f32(const std::string& path, const std::vector<float>& nchw, int64_t n) {
  ExecOptions options;
  options.threads = 1;
  Executor executor(load_model(path), options);
  std::vector<float> out(static_cast<size_t>(n * executor.output_size()));
  executor.run_f32(nchw.data(), n, out.data());
  return out;
}

int64_t node_count(const std::string& path) { return static_cast<int64_t>(load_model(path).order().size()); }

}  // namespace xdn::testing

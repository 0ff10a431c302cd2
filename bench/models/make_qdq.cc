// A float model quantized as ONNX Runtime's static quantizer does it, for measuring speed:
// make_qdq resnet50.onnx -o resnet50-qdq.onnx. Ranges are those of a few images.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <random>

#include "base/error.h"
#include "data/npy.h"
#include "data/preprocess.h"
#include "executor/reference.h"
#include "formats/model_io.h"
#include "fusion/pipeline.h"
#include "models/quantize.h"

namespace {

using namespace xdn;

struct Flags {
  std::string model, out, images;
  int64_t count = 0;
};

/// n h w 3 bytes: in turn, smooth colours with some noise, as in pictures, and noise alone, as the driver
/// uses.
Tensor synthetic(int64_t count, int64_t height, int64_t width) {
  constexpr int64_t kGrid = 5, kChannels = 3;
  std::mt19937 bits(1);
  Tensor images(DType::kU8, {count, height, width, kChannels});
  auto* out = images.mutable_data<uint8_t>().data();
  for (int64_t n = 0; n < count; ++n) {
    if (n % 2 == 1) {
      out = std::generate_n(out, height * width * kChannels,
                            [&] { return static_cast<uint8_t>(bits() % 256); });
      continue;
    }
    float grid[kGrid][kGrid][kChannels];
    for (auto& row : grid) {
      for (auto& point : row) {
        for (float& value : point) value = static_cast<float>(bits() % 256);
      }
    }
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const float gy = static_cast<float>(y * (kGrid - 1)) / static_cast<float>(height);
        const float gx = static_cast<float>(x * (kGrid - 1)) / static_cast<float>(width);
        const auto iy = static_cast<size_t>(gy), ix = static_cast<size_t>(gx);
        const float fy = gy - static_cast<float>(iy), fx = gx - static_cast<float>(ix);
        for (int64_t c = 0; c < kChannels; ++c) {
          const float top = std::lerp(grid[iy][ix][c], grid[iy][ix + 1][c], fx);
          const float bottom = std::lerp(grid[iy + 1][ix][c], grid[iy + 1][ix + 1][c], fx);
          const float noise = static_cast<float>(bits() % 33) - 16;
          *out++ = static_cast<uint8_t>(std::clamp(std::lerp(top, bottom, fy) + noise, 0.0f, 255.0f));
        }
      }
    }
  }
  return images;
}

/// Image i as the model's input.
Tensor model_input(const Tensor& images, int64_t i, const Preprocess& preprocess) {
  const int64_t area = images.dim(1) * images.dim(2);
  Tensor input(DType::kF32, {1, 3, images.dim(1), images.dim(2)});
  const uint8_t* bytes = images.data<uint8_t>().data() + i * area * 3;
  float* out = input.mutable_data<float>().data();
  for (size_t c = 0; c < 3; ++c) {
    const size_t source = preprocess.bgr ? 2 - c : c;
    for (int64_t p = 0; p < area; ++p)
      *out++ = (static_cast<float>(bytes[p * 3 + static_cast<int64_t>(source)]) * preprocess.scale -
                preprocess.mean[c]) /
               preprocess.std[c];
  }
  return input;
}

void extend(bench::Ranges& ranges, const std::string& name, const Tensor& tensor) {
  if (tensor.dtype() != DType::kF32 || tensor.size() == 0) return;
  const auto values = tensor.data<float>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const auto [it, fresh] = ranges.emplace(name, bench::Range{*low, *high});
  if (!fresh) it->second = {std::min(it->second.low, *low), std::max(it->second.high, *high)};
}

Tensor calibration_images(const Flags& flags, int64_t height, int64_t width) {
  if (flags.images.empty()) {
    const int64_t few = height * width > 64 * 64 ? 4 : 16;
    return synthetic(flags.count > 0 ? flags.count : few, height, width);
  }
  Tensor images = read_npy(flags.images);
  if (images.dtype() != DType::kU8 || images.rank() != 4 || images.dim(1) != height ||
      images.dim(2) != width || images.dim(3) != 3) {
    throw input_error(fmt::format("expected u8[n,{},{},3], got {}{}", height, width,
                                  dtype_name(images.dtype()), to_string(images.dims())))
        .in_file(flags.images);
  }
  return images;
}

void run(const Flags& flags) {
  const std::string beside = model_stem(flags.out) + ".preprocess.json";
  Graph graph = load_model(flags.model);
  // A fused activation or residual would come apart again in the file, after Q and DQ had been placed.
  run_passes(graph, traditional_passes(), {"fuse_relu", "fuse_residual"});
  const Dims shape = graph.value(graph.inputs()[0]).shape;
  if (graph.inputs().size() != 1 || shape.size() != 4 || shape[1] != 3)
    throw input_error("expected a model that takes images of three channels").in_file(flags.model);

  const std::optional<Preprocess> found = find_preprocess(model_stem(flags.model));
  Preprocess preprocess = found.value_or(Preprocess{});
  if (!found) preprocess.scale = 1.0f / 255;
  const Tensor images = calibration_images(flags, shape[2], shape[3]);
  const int64_t count = flags.count > 0 ? std::min(flags.count, images.dim(0)) : images.dim(0);
  bench::Ranges ranges;
  for (int64_t i = 0; i < count; ++i) {
    fmt::print(stderr, "image {} of {}\n", i + 1, count);
    const Tensor input = model_input(images, i, preprocess);
    std::map<std::string, Tensor> values;
    (void)run_reference(graph, {&input, 1}, &values);
    extend(ranges, graph.value(graph.inputs()[0]).name, input);
    for (const auto& [name, tensor] : values) extend(ranges, name, tensor);
  }

  bench::insert_qdq(graph, ranges);
  export_onnx(graph, flags.out);
  if (found) write_preprocess(*found, beside);
  fmt::print("wrote {}\n", printable(flags.out));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Quantizes a float model with QuantizeLinear and DequantizeLinear");
  Flags flags;
  app.add_option("MODEL", flags.model, "model.onnx, or net.prototxt:weights.caffemodel")->required();
  app.add_option("--images", flags.images, "FILE.npy, u8[n,h,w,3], to take ranges from (default: synthetic)");
  app.add_option("--count", flags.count, "Images to take ranges from")->check(CLI::PositiveNumber);
  app.add_option("-o,--output", flags.out, "FILE.onnx")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    run(flags);
  } catch (const std::exception& error) {
    fmt::print(stderr, "make_qdq: {}\n", error.what());
    return 1;
  }
}

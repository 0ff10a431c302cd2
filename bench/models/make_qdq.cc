// A float model quantized plainly, by min-max ranges and rounding to nearest, for measuring speed:
// make_qdq resnet50.onnx -o resnet50-qdq.onnx. Ranges are those of a few images.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/error.h"
#include "cli/model_input.h"
#include "data/npy.h"
#include "data/preprocess.h"
#include "evaluator/synthetic.h"
#include "formats/model_io.h"
#include "quantization/quantize.h"

namespace {

using namespace xdn;

struct Flags {
  std::string model, out, images;
  int64_t count = 0;
};

Tensor calibration_images(const Flags& flags, int64_t height, int64_t width) {
  if (flags.images.empty()) {
    const int64_t few = height * width > 64 * 64 ? 4 : 16;
    Tensor images(DType::kU8, {flags.count > 0 ? flags.count : few, height, width, 3});
    synthetic_images(0, images.dim(0), height, width, 3, images.mutable_data<uint8_t>().data());
    return images;
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
  const std::optional<Preprocess> found = find_preprocess(model_stem(flags.model));
  cli::PixelFlags pixels;
  if (!found) pixels.scale = 1.0f / 255;
  cli::ModelInput model = cli::load_model_input(flags.model, pixels);
  if (model.channels != 3)
    throw input_error("expected a model that takes images of three channels").in_file(flags.model);
  const Tensor images = calibration_images(flags, model.preprocess.height, model.preprocess.width);

  QuantizeOptions options;
  options.correct_bias = false;
  options.rounding = Rounding::kNearest;
  Quantizer quantizer(std::move(model.graph), options);
  CalibrationImages set;
  set.data = images.data<uint8_t>().data();
  set.count = flags.count > 0 ? std::min(flags.count, images.dim(0)) : images.dim(0);
  set.pixels = model.pixel_map(false);
  const Calibration calibration(quantizer.graph(), set);
  Ranges ranges;
  ranges.values = calibration.ranges(quantizer.values(), RangeMethod::kMinMax);
  quantizer.set_ranges(std::move(ranges));
  quantizer.round_weights(nullptr);
  export_onnx(quantizer.quantized(), flags.out);
  if (found) write_preprocess(*found, model_stem(flags.out) + ".preprocess.json");
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

#include "api/image_model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "data/dataset.h"
#include "formats/model_io.h"

namespace xdn {
namespace {

/// The graph's one image input, [batch, channels, height, width].
ValueId image_input(const Graph& graph, const Preprocess& preprocess) {
  if (graph.inputs().size() != 1) {
    throw input_error(fmt::format("has {} inputs, expected one that takes images", graph.inputs().size()));
  }
  const ValueId id = graph.inputs()[0];
  const Value& value = graph.value(id);
  if (!preprocess.input.empty() && preprocess.input != value.name) {
    throw input_error(fmt::format("has the input '{}', but its preprocess file is for '{}'",
                                  printable(value.name), printable(preprocess.input)));
  }
  const bool fixed = value.shape.size() == 4 && std::all_of(value.shape.begin() + 1, value.shape.end(),
                                                            [](int64_t extent) { return extent >= 1; });
  if (!fixed) {
    throw input_error(
        fmt::format("has the input '{}' of shape {}, expected an image of known size, [N,c,h,w]",
                    printable(value.name), to_string(value.shape)));
  }
  return id;
}

}  // namespace

PixelMap ImageModel::pixel_map(bool images_are_bgr) const {
  PixelMap map;
  for (int64_t c = 0; c < channels; ++c) {
    const auto i = static_cast<size_t>(c);
    const bool color = channels == 3;
    const double std = color ? preprocess.std[i] : 1.0;
    const double mean = color ? preprocess.mean[i] : 0.0;
    map.scale.push_back(static_cast<float>((color ? preprocess.scale : 1.0) / std));
    map.shift.push_back(static_cast<float>(-mean / std));
    map.source_channel.push_back(static_cast<int>(color && preprocess.bgr != images_are_bgr ? 2 - c : c));
  }
  return map;
}

ImageModel make_image_model(const std::string& spec, Graph graph, Preprocess preprocess, int64_t height,
                            int64_t width) {
  ImageModel model;
  model.spec = spec;
  model.graph = std::move(graph);
  model.preprocess = std::move(preprocess);
  try {
    const ValueId input = image_input(model.graph, model.preprocess);
    Dims& shape = model.graph.value(input).shape;
    model.channels = shape[1];
    const int64_t native_height = shape[2], native_width = shape[3];
    if (height == 0 && width == 0) {
      height = native_height;
      width = native_width;
      if (model.preprocess.height != 0 &&
          (model.preprocess.height != height || model.preprocess.width != width)) {
        throw input_error(fmt::format("takes images of {}x{}, but its preprocess file makes {}x{}", height,
                                      width, model.preprocess.height, model.preprocess.width));
      }
    }
    if (height != native_height || width != native_width) {
      shape[2] = height;
      shape[3] = width;
      infer_shapes(model.graph);
    }
    model.preprocess.height = height;
    model.preprocess.width = width;
  } catch (Error& error) {
    throw error.in_file(model_files(spec)[0]);
  }
  return model;
}

int64_t output_size(const Graph& graph) {
  const Dims& shape = graph.value(graph.outputs().at(0)).shape;
  if (shape.empty() || shape[0] != kBatch)
    throw input_error("the output has shape " + to_string(shape) + ", expected [N,...]");
  return element_count(Dims(shape.begin() + 1, shape.end()));
}

void save_image_model(const ImageModel& model, const std::string& spec) {
  // A model alone would be taken for one of raw pixels; a preprocess file alone does no harm.
  if (!model.raw_pixels) write_preprocess(model.preprocess, model_stem(spec) + ".preprocess.json");
  save_model(model.graph, spec);
}

Image fit_to_model(Image image, const ImageModel& model) {
  if (model.channels != 3) {
    throw input_error(fmt::format("takes images of {} channels, expected 3", model.channels))
        .in_file(model_files(model.spec)[0]);
  }
  return fit_image(std::move(image), dataset_options(model.preprocess).geometry);
}

}  // namespace xdn

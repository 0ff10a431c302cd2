#include <cmath>
#include <memory>
#include <string>

#include "api/c_support.h"
#include "data/image.h"
#include "formats/model_io.h"
#include "fusion/pipeline.h"

using namespace xdn;

namespace {

Preprocess read_preprocess_struct(const xdn_preprocess* given) {
  const xdn_preprocess c = read_struct(given, "preprocess");
  Preprocess out;
  out.bgr = c.bgr != 0;
  out.scale = c.scale == 0 ? 1 : c.scale;
  bool finite = std::isfinite(out.scale);
  for (size_t i = 0; i < 3; ++i) {
    out.mean[i] = c.mean[i];
    out.std[i] = c.std[i] == 0 ? 1 : c.std[i];
    const float limit = (255 * std::fabs(out.scale) + std::fabs(out.mean[i])) / std::fabs(out.std[i]);
    finite = finite && std::isfinite(limit) && std::isfinite(out.std[i]);
  }
  if (!finite) throw bad_argument("preprocess maps bytes beyond the range of a float");
  out.height = c.height;
  out.width = c.width;
  out.resize = c.resize;
  out.crop = c.crop;
  try {
    check_geometry({out.resize, out.crop, out.height, out.width});
  } catch (const Error& error) {
    throw bad_argument("preprocess: " + error.message());
  }
  return out;
}

xdn_load_options read_load_options(const xdn_load_options* given) {
  if (given == nullptr) return {};
  const xdn_load_options options = read_struct(given, "options");
  check_range(options.height, 0, kMaxImageSide, "options.height");
  check_range(options.width, 0, kMaxImageSide, "options.width");
  if ((options.height == 0) != (options.width == 0)) {
    throw bad_argument("options.height and options.width go together, one is 0");
  }
  return options;
}

std::unique_ptr<xdn_model> make_model(ImageModel image_model) {
  auto model = std::make_unique<xdn_model>();
  model->model = std::move(image_model);
  model->outputs = output_size(model->model.graph);
  return model;
}

std::unique_ptr<xdn_model> load(const std::string& spec, const xdn_load_options& options) {
  Graph graph = load_model(spec);
  std::optional<Preprocess> preprocess = options.preprocess != nullptr
                                             ? read_preprocess_struct(options.preprocess)
                                             : find_preprocess(model_stem(spec));
  const bool raw = !preprocess.has_value();
  ImageModel model = make_image_model(spec, std::move(graph), preprocess.value_or(Preprocess{}),
                                      options.height, options.width);
  model.raw_pixels = raw;
  try {
    return make_model(std::move(model));
  } catch (Error& error) {
    throw error.in_file(model_files(spec)[0]);
  }
}

std::span<const Pass> passes_of(int32_t fusion) {
  switch (fusion) {
    case XDN_FUSION_OFF:
      return cleanup_passes();
    case XDN_FUSION_DEFAULT:
    case XDN_FUSION_TRADITIONAL:
      return traditional_passes();
    case XDN_FUSION_AGGRESSIVE:
      return aggressive_passes();
  }
  throw bad_argument(fmt::format("fusion is {}, no xdn_fusion", fusion));
}

bool is_quantized(const Graph& graph) {
  return std::any_of(graph.order().begin(), graph.order().end(),
                     [&](NodeId id) { return graph.node(id).type == OpType::kQuantizeLinear; });
}

void store_pixels(const ImageModel& model, Image image, uint8_t* pixels, size_t bytes) {
  const Image fitted = fit_to_model(std::move(image), model);
  if (bytes < fitted.rgb.size()) {
    throw bad_argument(
        fmt::format("pixels has room for {} bytes, the image takes {}", bytes, fitted.rgb.size()));
  }
  std::copy(fitted.rgb.begin(), fitted.rgb.end(), pixels);
}

}  // namespace

xdn_status xdn_model_load(const char* spec, const xdn_load_options* options, xdn_model** model) {
  return guarded([&] {
    check_pointer(spec, "spec");
    check_pointer(model, "model");
    *model = load(spec, read_load_options(options)).release();
  });
}

void xdn_model_free(xdn_model* model) { delete model; }

xdn_status xdn_model_get_info(const xdn_model* model, xdn_model_info* info) {
  return guarded([&] {
    check_pointer(model, "model");
    check_size(info, "info");
    const ImageModel& m = model->model;
    const NodeCost cost = graph_cost(m.graph);
    xdn_model_info value{};
    value.channels = m.channels;
    value.height = m.preprocess.height;
    value.width = m.preprocess.width;
    value.outputs = model->outputs;
    value.class_names = static_cast<int64_t>(m.preprocess.classes.size());
    value.parameters = cost.parameters;
    value.macs = cost.macs_effective;
    value.quantized = is_quantized(m.graph);
    value.input_name = m.graph.value(m.graph.inputs()[0]).name.c_str();
    write_struct(value, info);
  });
}

xdn_status xdn_model_get_preprocess(const xdn_model* model, xdn_preprocess* preprocess) {
  return guarded([&] {
    check_pointer(model, "model");
    check_size(preprocess, "preprocess");
    const Preprocess& p = model->model.preprocess;
    xdn_preprocess value{};
    value.height = p.height;
    value.width = p.width;
    value.resize = p.resize;
    value.crop = p.crop;
    value.scale = p.scale;
    std::copy(p.mean.begin(), p.mean.end(), value.mean);
    std::copy(p.std.begin(), p.std.end(), value.std);
    value.bgr = p.bgr;
    value.unknown = model->model.raw_pixels;
    write_struct(value, preprocess);
  });
}

const char* xdn_model_class_name(const xdn_model* model, int64_t label) {
  if (model == nullptr || label < 0) return nullptr;
  const std::vector<std::string>& names = model->model.preprocess.classes;
  const auto i = static_cast<size_t>(label);
  return i < names.size() ? names[i].c_str() : nullptr;
}

xdn_status xdn_model_optimize(const xdn_model* model, int32_t fusion, xdn_model** optimized) {
  return guarded([&] {
    check_pointer(model, "model");
    check_pointer(optimized, "optimized");
    const std::span<const Pass> passes = passes_of(fusion);
    ImageModel out = model->model;
    record_steps(out.graph, run_passes(out.graph, passes));
    *optimized = make_model(std::move(out)).release();
  });
}

xdn_status xdn_model_save(const xdn_model* model, const char* spec) {
  return guarded([&] {
    check_pointer(model, "model");
    check_pointer(spec, "spec");
    save_image_model(model->model, spec);
  });
}

xdn_status xdn_model_load_image(const xdn_model* model, const char* path, uint8_t* pixels, size_t bytes) {
  return guarded([&] {
    check_pointer(model, "model");
    check_pointer(path, "path");
    check_pointer(pixels, "pixels");
    try {
      store_pixels(model->model, decode_image(std::string(path)), pixels, bytes);
    } catch (Error& error) {
      if (error.kind() == ErrorKind::kInput) error.in_file(path);
      throw;
    }
  });
}

xdn_status xdn_model_decode_image(const xdn_model* model, const void* file, size_t file_bytes,
                                  uint8_t* pixels, size_t bytes) {
  return guarded([&] {
    check_pointer(model, "model");
    check_pointer(file, "file");
    check_pointer(pixels, "pixels");
    store_pixels(model->model, decode_image(std::span(static_cast<const uint8_t*>(file), file_bytes)), pixels,
                 bytes);
  });
}

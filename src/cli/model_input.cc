#include "cli/model_input.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "cli/tuning.h"
#include "evaluator/resources.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

constexpr int64_t kMostSide = 65535;

std::optional<Size> try_parse_size(const std::string& text) {
  const auto number = [](std::string_view part) -> int64_t {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    const bool whole = error == std::errc() && end == part.data() + part.size();
    return whole && value >= 1 && value <= kMostSide ? value : 0;
  };
  const size_t cross = text.find('x');
  const std::string_view view = text;
  Size size;
  size.height = number(view.substr(0, cross));
  size.width = cross == std::string::npos ? size.height : number(view.substr(cross + 1));
  if (size.height == 0 || size.width == 0) return std::nullopt;
  return size;
}

CLI::Validator size_check() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        if (try_parse_size(text)) return {};
        return fmt::format("expected N or HxW with sides from 1 to {}, not '{}'", kMostSide, printable(text));
      },
      "");
}

CLI::Validator finite_number() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        float value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error == std::errc() && end == text.data() + text.size() && std::isfinite(value)) return {};
        return fmt::format("expected a finite number, not '{}'", printable(text));
      },
      "");
}

/// One value for all channels, or one for each.
void put_channels(const std::vector<float>& values, const char* option, std::array<float, 3>& dst) {
  if (values.empty()) return;
  if (values.size() != 1 && values.size() != dst.size()) {
    throw Error(ErrorKind::kUsage, fmt::format("{}: expected 1 or 3 numbers, not {}", option, values.size()));
  }
  for (size_t c = 0; c < dst.size(); ++c) dst[c] = values[values.size() == 1 ? 0 : c];
}

Preprocess merge(Preprocess preprocess, const PixelFlags& flags) {
  put_channels(flags.mean, "--mean", preprocess.mean);
  put_channels(flags.std, "--std", preprocess.std);
  if (std::any_of(preprocess.std.begin(), preprocess.std.end(), [](float x) { return x == 0; })) {
    throw Error(ErrorKind::kUsage, "--std: expected numbers other than 0");
  }
  if (flags.scale) preprocess.scale = *flags.scale;
  if (!flags.color.empty()) preprocess.bgr = flags.color == "BGR";
  if (flags.resize != 0) preprocess.resize = flags.resize;
  if (flags.crop != 0) preprocess.crop = flags.crop;
  return preprocess;
}

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

void check_precision(const Graph& graph, const ExecOptions& options) {
  if (options.precision != Precision::kInt8) return;
  const auto quantized = [&](NodeId id) {
    const OpType type = graph.node(id).type;
    return type == OpType::kQuantizeLinear || type == OpType::kDequantizeLinear;
  };
  if (std::none_of(graph.order().begin(), graph.order().end(), quantized)) {
    throw input_error(
        "is a float model, --precision int8 expects a quantized one: make it with xdn quantize");
  }
}

}  // namespace

void add_size_option(CLI::App& app, std::string& size) {
  app.add_option("--size", size,
                 "Side, or height x width, of the model's images; default: what the model says")
      ->check(size_check())
      ->type_name("N|HxW")
      ->group("Preprocessing");
}

void add_resize_options(CLI::App& app, int64_t& resize, int64_t& crop) {
  const auto side = [&](const char* name, int64_t& value, const char* text) {
    app.add_option(name, value, text)
        ->check(whole_number(1, kMostSide))
        ->type_name("N")
        ->group("Preprocessing");
  };
  side("--resize", resize, "Resize the shorter side to this first");
  side("--crop", crop, "Then cut a square of this side out of the middle");
}

void PixelFlags::add_options(CLI::App& app) {
  const std::string group = "Preprocessing";
  add_size_option(app, size);
  add_resize_options(app, resize, crop);
  add_choice(app, "--color", color, {"RGB", "BGR"}, "The model's channel order")->group(group);
  app.add_option("--scale", scale, "Multiplies a byte before the mean is subtracted")
      ->check(finite_number())
      ->type_name("X")
      ->group(group);
  const auto channels = [&](const char* name, std::vector<float>& values, const char* text) {
    app.add_option(name, values, text)
        ->check(finite_number())
        ->delimiter(',')
        ->allow_extra_args(false)
        ->type_name("X,X,X")
        ->group(group);
  };
  channels("--mean", mean, "Subtracted, per channel in the model's order");
  channels("--std", std, "Divided by, per channel in the model's order");
  app.get_option("--mean")->description(
      "Subtracted, per channel in the model's order. Default of all of these: "
      "MODEL.preprocess.json beside the model");
}

Size parse_size(const std::string& text) {
  const std::optional<Size> size = try_parse_size(text);
  XDN_CHECK(size.has_value());
  return *size;
}

PixelMap ModelInput::pixel_map(bool images_are_bgr) const {
  PixelMap map;
  for (int64_t c = 0; c < channels; ++c) {
    // Preprocessing speaks of three channels; a model of another depth takes its bytes as they are.
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

ModelInput load_model_input(const std::string& spec, const PixelFlags& flags) {
  ModelInput model;
  model.spec = spec;
  const Stopwatch watch;
  model.graph = load_model(spec);
  model.load_seconds = watch.seconds();
  const std::optional<Preprocess> beside = find_preprocess(model_stem(spec));
  const bool any_flag = !flags.mean.empty() || !flags.std.empty() || flags.scale || !flags.color.empty();
  model.raw_pixels = !beside && !any_flag;
  model.preprocess = merge(beside.value_or(Preprocess{}), flags);
  try {
    const ValueId input = image_input(model.graph, model.preprocess);
    Dims& shape = model.graph.value(input).shape;
    model.channels = shape[1];
    const Size native{shape[2], shape[3]};
    Size size = native;
    if (!flags.size.empty()) {
      size = parse_size(flags.size);
    } else if (model.preprocess.height != 0 &&
               (model.preprocess.height != native.height || model.preprocess.width != native.width)) {
      throw input_error(fmt::format("takes images of {}x{}, but its preprocess file makes {}x{}",
                                    native.height, native.width, model.preprocess.height,
                                    model.preprocess.width));
    }
    if (size.height != native.height || size.width != native.width) {
      shape[2] = size.height;
      shape[3] = size.width;
      infer_shapes(model.graph);
    }
    model.preprocess.height = size.height;
    model.preprocess.width = size.width;
  } catch (Error& error) {
    throw error.in_file(model_file(spec));
  }
  return model;
}

void warn_of_raw_pixels(const ModelInput& model) {
  if (!model.raw_pixels) return;
  log_warning(
      fmt::format("no {}.preprocess.json and no --mean, --std, --scale or --color: pixels enter as 0 to 255",
                  printable(model_stem(model.spec))));
}

Executor make_executor(ModelInput& model, const ExecFlags& flags, bool images_are_bgr, int64_t batch_hint) {
  ExecOptions options = flags.options();
  options.pixels = model.pixel_map(images_are_bgr);
  options.batch_hint = batch_hint;
  use_tuning(model, flags, options);
  try {
    check_precision(model.graph, options);
    return Executor(std::move(model.graph), std::move(options));
  } catch (Error& error) {
    throw error.in_file(model_file(model.spec));
  }
}

std::vector<std::string> model_files(const std::string& spec) {
  const size_t colon = spec.find(".prototxt:");
  if (colon == std::string::npos) return {spec};
  const size_t split = colon + std::string(".prototxt").size();
  return {spec.substr(0, split), spec.substr(split + 1)};
}

std::string model_file(const std::string& spec) { return model_files(spec)[0]; }

}  // namespace xdn::cli

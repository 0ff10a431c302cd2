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

ModelInput load_model_input(const std::string& spec, const PixelFlags& flags) {
  const Stopwatch watch;
  Graph graph = load_model(spec);
  const double load_seconds = watch.seconds();
  const std::optional<Preprocess> beside = find_preprocess(model_stem(spec));
  const bool any_flag = !flags.mean.empty() || !flags.std.empty() || flags.scale || !flags.color.empty();
  const Size size = flags.size.empty() ? Size{} : parse_size(flags.size);
  ModelInput model{make_image_model(spec, std::move(graph), merge(beside.value_or(Preprocess{}), flags),
                                    size.height, size.width),
                   load_seconds};
  model.raw_pixels = !beside && !any_flag;
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

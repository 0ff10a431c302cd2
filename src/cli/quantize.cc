#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "base/cpu.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/image_set.h"
#include "cli/model_input.h"
#include "cli/model_output.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/quantize_report.h"
#include "cli/verbs.h"
#include "evaluator/evaluate.h"
#include "evaluator/resources.h"
#include "formats/model_io.h"
#include "fusion/pipeline.h"
#include "quantization/mlu.h"
#include "quantization/quantize.h"
#include "quantization/search.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

struct QuantizeFlags {
  std::string model, out, data, val, test, ranges, target = "onnx", precision;
  std::string method = "mse", rounding = "least-squares";
  std::vector<std::string> keep;
  int64_t trials = 16, budget = 600, threads = 0;
  std::optional<double> max_drop;
  bool equalize = false, merge_sums = false, no_bias_correction = false, no_verify = false;
  DrawFlags draw;
  PixelFlags pixels;
  Output output;

  bool search() const { return max_drop.has_value() || precision == "mixed"; }
  bool bf16() const { return precision == "bf16"; }
  bool chip() const { return target == "cambricon-mlu100"; }
};

constexpr double kDefaultDrop = 0.2;

std::string ranges_path(const QuantizeFlags& flags) { return model_stem(flags.out) + ".ranges.json"; }

[[noreturn]] void usage(const std::string& message) { throw Error(ErrorKind::kUsage, message); }

/// What the vendor's rule leaves no choice about.
void check_chip_request(const QuantizeFlags& flags) {
  if (flags.out.find(':') == std::string::npos)
    usage("--target cambricon-mlu100 writes Caffe, expected -o OUT.prototxt:OUT.caffemodel");
  if (flags.data.empty()) usage("expected --data DATA to calibrate on; see xdn quantize --help");
  if (flags.search() || !flags.precision.empty() || !flags.ranges.empty() || !flags.keep.empty() ||
      flags.equalize || flags.merge_sums) {
    usage(
        "--target cambricon-mlu100 takes none of --max-drop, --precision, --ranges, --keep, --equalize and "
        "--merge-sums");
  }
}

void check_request(const QuantizeFlags& flags) {
  flags.output.check();
  check_model_output(flags.model, flags.out);
  if (flags.chip()) return check_chip_request(flags);
  if (flags.out.find(':') != std::string::npos)
    usage("-o: int8 models are written as ONNX, expected OUT.onnx; Caffe is for --target cambricon-mlu100");
  if (!flags.bf16()) check_output(ranges_path(flags));
  if (!flags.bf16() && flags.data.empty() && flags.ranges.empty())
    usage("expected --data DATA to calibrate on, or --ranges FILE; see xdn quantize --help");
  if (flags.search() && flags.precision != "mixed" && !flags.precision.empty())
    usage("--max-drop decides layer by layer, expected --precision mixed or none");
  if (flags.search() && flags.val.empty()) usage("--max-drop is measured on --val, expected --val DATA");
  if (flags.max_drop && !(*flags.max_drop >= 0 && *flags.max_drop <= 100))
    usage("--max-drop: expected percentage points from 0 to 100");
}

/// What layers that leave 8 bits compute in here: bf16 where the processor multiplies it.
FloatKind fallback_kind() { return cpu_features().avx512bf16 ? FloatKind::kBf16 : FloatKind::kF32; }

/// LAYER, LAYER=bf16 or LAYER=fp32.
std::map<std::string, FloatKind> kept_layers(const QuantizeFlags& flags, const Quantizer& quantizer) {
  std::map<std::string, FloatKind> kept;
  for (const std::string& text : flags.keep) {
    std::string name = text;
    FloatKind kind = fallback_kind();
    const auto cut = [&](const std::string& suffix, FloatKind of) {
      if (!name.ends_with(suffix)) return;
      name.resize(name.size() - suffix.size());
      kind = of;
    };
    cut("=bf16", FloatKind::kBf16);
    cut("=fp32", FloatKind::kF32);
    const auto layers = quantizer.layers();
    if (std::none_of(layers.begin(), layers.end(), [&](const LinearLayer& layer) {
          return quantizer.graph().node(layer.id).name == name;
        })) {
      throw input_error(fmt::format("--keep: no layer '{}' with weights; see xdn info", printable(name)))
          .in_file(model_file(flags.model));
    }
    kept.emplace(name, kind);
  }
  return kept;
}

/// The verb in steps; each adds to the report.
class Quantization {
 public:
  explicit Quantization(const QuantizeFlags& flags) : flags_(flags), report_(flags.output) {}

  int run() {
    check_request(flags_);
    model_ = load_model_input(flags_.model, flags_.pixels);
    warn_of_raw_pixels(model_);
    open_images();
    try {
      if (flags_.chip()) {
        prepare_for_chip();
      } else if (flags_.bf16()) {
        result_ = bf16_model(model_.graph);
      } else {
        quantize();
      }
    } catch (Error& error) {
      if (error.file().empty()) error.in_file(model_file(flags_.model));
      throw;
    }
    judge_result();
    write();
    return 0;
  }

 private:
  /// The vendor's rule instead of a choice of ranges; see docs/cambricon.md. What was given, and what is
  /// judged, both take raw pixels from here on.
  void prepare_for_chip() {
    const Stopwatch watch;
    const Preprocess& p = model_.preprocess;
    (void)run_passes(model_.graph, traditional_passes());
    const bool color = model_.channels == 3;
    const auto channels = static_cast<size_t>(model_.channels);
    PixelNormalisation pixels{color ? p.scale : 1, std::vector<float>(channels, 0),
                              std::vector<float>(channels, 1), !p.bgr};
    for (size_t c = 0; c < channels && color; ++c) {
      pixels.mean[c] = p.mean[c];
      pixels.std[c] = p.std[c];
    }
    model_.graph = normalise_on_chip(std::move(model_.graph), pixels);
    model_.preprocess = raw_bgr_pixels(p);
    reopen_pixels();
    std::vector<std::string> values;
    for (const ValueId id : mlu_inputs(model_.graph)) values.push_back(model_.graph.value(id).name);
    Progress progress("ranges", 2 * calibration_->size());
    Calibration calibration(model_.graph, calibration_images());
    calibration.done = &progress.done();
    std::map<std::string, float> absmax;
    for (const auto& [name, range] : calibration.ranges(values, RangeMethod::kMinMax))
      absmax[name] = std::max(std::abs(range.seen.low), std::abs(range.seen.high));
    chip_layers_ = mlu_layers(model_.graph, absmax);
    result_ = simulate_mlu(model_.graph, chip_layers_);
    progress.finish();
    report_.calibrated_for_chip(chip_layers_.size(), calibration_->size(), watch.seconds());
  }

  void reopen_pixels() {
    for (auto* set : {&calibration_, &val_, &test_}) {
      if (set->has_value()) (*set)->set_pixels(model_);
    }
  }

  CalibrationImages calibration_images() const {
    return {calibration_->data(), calibration_->size(), calibration_->pixels(), threads()};
  }

  /// All data are opened before anything long begins.
  void open_images() {
    if (!flags_.bf16() && !flags_.data.empty()) {
      calibration_.emplace(flags_.data, model_, Split::kAutoTrain, !flags_.no_verify, flags_.draw);
    }
    open_labelled(val_, flags_.val);
    open_labelled(test_, flags_.test);
  }

  void open_labelled(std::optional<ImageSet>& set, const std::string& path) {
    if (path.empty()) return;
    set.emplace(path, model_, Split::kAuto, !flags_.no_verify);
    const std::vector<ValueId>& outputs = model_.graph.outputs();
    const Dims out = outputs.empty() ? Dims() : model_.graph.value(outputs[0]).shape;
    if (out.empty()) return;  // the executor has a word for such models
    try {
      check_labels(set->labels(), element_count(Dims(out.begin() + 1, out.end())));
    } catch (Error& error) {
      throw error.in_file(path);
    }
  }

  int threads() const { return static_cast<int>(flags_.threads); }

  void quantize() {
    QuantizeOptions options;
    options.equalize = flags_.equalize;
    options.merge_sums = flags_.merge_sums;
    options.correct_bias = !flags_.no_bias_correction;
    options.rounding = flags_.rounding == "nearest" ? Rounding::kNearest : Rounding::kLeastSquares;
    const Stopwatch watch;
    Quantizer quantizer(model_.graph, options);
    const auto kept = kept_layers(flags_, quantizer);
    std::optional<Calibration> calibration;
    if (calibration_) {
      calibration.emplace(quantizer.graph(), calibration_images());
    }
    set_ranges(quantizer, calibration);
    {
      const int64_t rounds = calibration ? calibration->rounds(quantizer.layers()) : 0;
      Progress progress("weights", rounds * (calibration ? calibration_->size() : 0));
      if (calibration) calibration->done = &progress.done();
      quantizer.round_weights(calibration ? &*calibration : nullptr);
    }
    report_.calibrated(quantizer, calibration ? calibration_->size() : 0, watch.seconds());
    ranges_ = quantizer.ranges();
    calibrated_ = quantizer.graph();
    if (flags_.search()) {
      search(quantizer, kept);
    } else {
      result_ = quantizer.quantized(kept);
    }
  }

  void set_ranges(Quantizer& quantizer, std::optional<Calibration>& calibration) {
    if (!flags_.ranges.empty()) {
      quantizer.set_ranges(read_ranges(flags_.ranges, quantizer.graph(), quantizer.values()));
      return;
    }
    Progress progress("ranges", 2 * calibration_->size());
    calibration->done = &progress.done();
    Ranges ranges;
    ranges.method = flags_.method;
    ranges.images = calibration_->size();
    ranges.seed = flags_.draw.seed;
    ranges.values = calibration->ranges(quantizer.values(), *parse_range_method(flags_.method));
    quantizer.set_ranges(std::move(ranges));
  }

  Judge& judge() {
    if (!judge_) judge_.emplace(make_judge(*val_, flags_.val));
    return *judge_;
  }

  Judge make_judge(const ImageSet& set, const std::string& path) const {
    ExecOptions exec;
    exec.threads = threads();
    try {
      return {model_.graph, {set.data(), set.labels(), set.pixels(), std::move(exec)}};
    } catch (Error& error) {
      if (error.layer().empty()) error.in_file(path);
      throw;
    }
  }

  void search(const Quantizer& quantizer, const std::map<std::string, FloatKind>& kept) {
    SearchOptions options;
    options.max_drop = flags_.max_drop.value_or(kDefaultDrop);
    options.most_trials = static_cast<int>(flags_.trials);
    options.most_seconds = static_cast<double>(flags_.budget);
    options.fallback = fallback_kind();
    options.kept = kept;
    report_.begin_trials(options.max_drop);
    std::optional<Progress> ranking;
    const SearchProgress progress{[&](const Trial& trial) { report_.trial(trial); },
                                  [&](size_t done, size_t total) {
                                    if (!ranking) ranking.emplace("layers", static_cast<int64_t>(total));
                                    ranking->done() = static_cast<int64_t>(done);
                                    if (done == total) ranking.reset();
                                  }};
    const SearchResult found = search_layers(quantizer, judge(), model_.graph, options, progress);
    report_.searched(found);
    if (found.chosen >= 0) {
      const auto& layers = found.trials[static_cast<size_t>(found.chosen)].float_layers;
      result_ = found.all_bf16 ? bf16_model(model_.graph) : quantizer.quantized(layers);
      const double ratio = judge().speed_ratio(result_);
      report_.speed(ratio);
      if (ratio >= 1) return;
    }
    report_.unchanged(found.chosen >= 0);
    result_ = model_.graph;
  }

  void judge_result() {
    if (val_) report_.verdict("val", flags_.val, judge().judge(result_));
    if (test_) report_.verdict("test", flags_.test, make_judge(*test_, flags_.test).judge(result_));
  }

  void write() {
    const std::string preprocess = model_stem(flags_.out) + ".preprocess.json";
    if (flags_.chip()) {
      check_output(preprocess);
      write_preprocess(model_.preprocess, preprocess);
      const std::vector<std::string> files = xdn::model_files(flags_.out);
      export_caffe(model_.graph, files.at(0), files.at(1), chip_layers_);
      report_.finish(flags_.model, fmt::format("{} and {}", printable(flags_.out), printable(preprocess)),
                     "");
      return;
    }
    // What --mean and the like said would be lost.
    const bool told = !find_preprocess(model_stem(flags_.model)) && !model_.raw_pixels;
    if (told) write_preprocess(model_.preprocess, preprocess);
    if (!flags_.bf16()) write_ranges(ranges_, calibrated_, ranges_path(flags_));
    const std::string written = write_model(result_, flags_.model, flags_.out);
    report_.finish(flags_.model, written, flags_.bf16() ? "" : ranges_path(flags_));
  }

  const QuantizeFlags& flags_;
  QuantizeReport report_;
  ModelInput model_;
  std::optional<ImageSet> calibration_, val_, test_;
  std::optional<Judge> judge_;
  Ranges ranges_;
  Graph calibrated_;  ///< whose values ranges_ names
  Graph result_;
  MluLayers chip_layers_;
};

}  // namespace

Action add_quantize(CLI::App& app) {
  const auto flags = std::make_shared<QuantizeFlags>();
  app.add_option("MODEL", flags->model, "A float model")->required()->type_name("");
  app.add_option(
         "-o,--output", flags->out,
         "The model to write, with QuantizeLinear and DequantizeLinear; OUT.ranges.json goes beside it")
      ->required()
      ->type_name("OUT.onnx|OUT.prototxt:OUT.caffemodel");
  add_choice(app, "--target", flags->target, {"onnx", "cambricon-mlu100"},
             "onnx: QDQ for any runtime; cambricon-mlu100: Caffe whose prototxt holds the quantization")
      ->capture_default_str();
  app.add_option("--data", flags->data, "Images to calibrate on: pack, image folder or CIFAR-10")
      ->type_name("DATA");
  flags->draw.add_options(app);
  app.add_option("--val", flags->val, "Labelled images that decide, and are reported")->type_name("DATA");
  app.add_option("--test", flags->test, "Labelled images that are only reported, once, at the end")
      ->type_name("DATA");
  app.add_option("--max-drop", flags->max_drop,
                 "Percentage points of accuracy on --val that may be lost: layers that cost more stay float")
      ->type_name("P");
  add_choice(app, "--precision", flags->precision, {"int8", "bf16", "mixed"},
             "Of all layers; mixed: as --max-drop decides (default 0.2). Default: int8, or mixed with "
             "--max-drop");
  app.add_option("--trials", flags->trials, "Choices of layers that --max-drop may measure")
      ->check(whole_number(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--budget", flags->budget, "Seconds that --max-drop may take")
      ->check(whole_number(1))
      ->type_name("S")
      ->capture_default_str();
  app.add_option("--keep", flags->keep,
                 "A layer that stays float: bf16 where this machine multiplies it, or as said")
      ->type_name("LAYER[=bf16|=fp32]")
      ->allow_extra_args(false);
  add_choice(app, "--method", flags->method, {kRangeMethods.begin(), kRangeMethods.end()},
             "How ranges follow from what was seen")
      ->capture_default_str();
  app.add_option("--ranges", flags->ranges,
                 "Take the ranges from a file that an earlier run wrote, perhaps edited")
      ->type_name("FILE");
  add_choice(app, "--rounding", flags->rounding, {"nearest", "least-squares"}, "Of the weights")
      ->capture_default_str();
  app.add_flag("--equalize", flags->equalize, "Equalize the weights' ranges across layers first");
  app.add_flag(
      "--merge-sums", flags->merge_sums,
      "Sum a projection and the convolution beside it in one accumulation, by tied scales, where that "
      "costs no accuracy");
  app.add_flag("--no-bias-correction", flags->no_bias_correction,
               "Leave the mean error that rounding causes");
  app.add_option("--threads", flags->threads, "Threads; default: what the machine grants")
      ->check(whole_number(1, 1024))
      ->type_name("N");
  app.add_flag("--no-verify", flags->no_verify, "Trust packs' data without comparing their SHA-256");
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  return [flags] { return Quantization(*flags).run(); };
}

}  // namespace xdn::cli

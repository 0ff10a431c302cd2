#include "cli/quantize_report.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "cli/run_info.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* kind_name(FloatKind kind) { return kind == FloatKind::kBf16 ? "bf16" : "fp32"; }

Json verdict_json(const Verdict& verdict) {
  const Comparison& c = verdict.comparison;
  return {{"images", c.images()},
          {"original_correct", c.correct_a()},
          {"correct", c.correct_b()},
          {"original_accuracy", verdict.original_accuracy()},
          {"accuracy", verdict.accuracy()},
          {"drop", verdict.drop()},
          {"flips", c.flips()},
          {"right_to_wrong", c.right_to_wrong()},
          {"wrong_to_right", c.wrong_to_right()},
          {"mcnemar_p", mcnemar_p(c.right_to_wrong(), c.wrong_to_right())},
          {"logit_error", verdict.logit_error},
          {"images_per_second", verdict.images_per_second}};
}

Json layers_json(const std::map<std::string, FloatKind>& layers) {
  Json json = Json::object();
  for (const auto& [name, kind] : layers) json[name] = kind_name(kind);
  return json;
}

}  // namespace

void QuantizeReport::calibrated(const Quantizer& quantizer, int64_t images, double seconds) {
  const Ranges& ranges = quantizer.ranges();
  const auto& reports = quantizer.reports();
  out_.print("ranges      {} values, {} over {} images\n", ranges.values.size(),
             ranges.method.empty() ? "given" : ranges.method, ranges.images);
  if (quantizer.equalized() > 0) out_.print("equalized   {} pairs of layers\n", quantizer.equalized());
  // Geometric: one layer must not hide the others.
  double log_ratio = 0, worst = 0;
  int64_t known = 0;
  std::string worst_layer;
  Json layers = Json::array();
  for (const LayerReport& report : reports) {
    layers.push_back({{"layer", report.layer},
                      {"relative_error", report.relative_error},
                      {"nearest_relative_error", report.nearest_relative_error}});
    if (report.relative_error <= 0 || report.nearest_relative_error <= 0) continue;
    log_ratio += std::log(report.relative_error / report.nearest_relative_error);
    ++known;
    if (report.relative_error <= worst) continue;
    worst = report.relative_error;
    worst_layer = report.layer;
  }
  out_.print("weights     {} layers in 8 bits", reports.size());
  if (known > 0) {
    out_.print(
        ": output error {:.2f} times that of rounding to nearest, at most {:.1e} of the output's "
        "variance ({})",
        std::exp(log_ratio / static_cast<double>(known)), worst, printable(worst_layer));
  }
  out_.print("\n");
  Json sums = Json::array();
  for (const SumReport& sum : quantizer.sums()) {
    out_.print("sum         {}: {} (error {:.2e} tied, {:.2e} stored in 8 bits)\n", printable(sum.add),
               sum.tied ? "scales tied, one accumulation" : "each result stored in 8 bits", sum.tied_error,
               sum.stored_error);
    sums.push_back({{"add", sum.add},
                    {"tied", sum.tied},
                    {"tied_error", sum.tied_error},
                    {"stored_error", sum.stored_error}});
  }
  json_["sums"] = std::move(sums);
  out_.print("calibrated  {} images in {:.1f} s\n", images, seconds);
  json_["method"] = ranges.method;
  json_["calibration_images"] = images;
  json_["calibration_seconds"] = seconds;
  json_["values"] = ranges.values.size();
  json_["equalized_pairs"] = quantizer.equalized();
  json_["layers"] = std::move(layers);
}

void QuantizeReport::calibrated_for_chip(size_t layers, int64_t images, double seconds) {
  out_.print("calibrated  {} layers by the MLU100's rule, {} images in {:.1f} s\n", layers, images, seconds);
  json_["calibration_images"] = images;
  json_["calibration_seconds"] = seconds;
  json_["chip_layers"] = layers;
}

void QuantizeReport::begin_trials(double max_drop) {
  json_["max_drop"] = max_drop;
  json_["trials"] = Json::array();
  out_.print("\n{:<24}{:>10}{:>9}{:>8}{:>12}   at most {} points of drop\n", "trial", "accuracy", "drop",
             "flips", "images/s", max_drop);
}

void QuantizeReport::trial(const Trial& trial) {
  const Verdict& v = trial.verdict;
  out_.print("{:<24}{:>10.4f}{:>9.2f}{:>8}{:>12.0f}   {}\n", trial.name, v.accuracy(), v.drop(),
             v.comparison.flips(), v.images_per_second, trial.within ? "within" : "exceeds");
  Json json = verdict_json(v);
  json["name"] = trial.name;
  json["float_layers"] = layers_json(trial.float_layers);
  json["within"] = trial.within;
  json_["trials"].push_back(std::move(json));
}

void QuantizeReport::searched(const SearchResult& result) {
  constexpr size_t kShown = 5;
  Json sensitivities = Json::array();
  for (const Sensitivity& s : result.sensitivities)
    sensitivities.push_back({{"layer", s.layer}, {"cost", s.cost}});
  json_["sensitivities"] = std::move(sensitivities);
  json_["stopped"] = result.stopped;
  if (!result.sensitivities.empty()) {
    out_.print("dearest     ");
    for (size_t i = 0; i < std::min(kShown, result.sensitivities.size()); ++i) {
      const Sensitivity& s = result.sensitivities[i];
      out_.print("{}{} ({:.1e})", i == 0 ? "" : ", ", printable(s.layer), s.cost);
    }
    out_.print("\n");
  }
  if (result.stopped) out_.print("stopped by --trials or --budget\n");
  if (result.chosen < 0) return;
  const Trial& chosen = result.trials[static_cast<size_t>(result.chosen)];
  json_["chosen"] = chosen.name;
  json_["float_layers"] = layers_json(chosen.float_layers);
  out_.print("chosen      {}\n", chosen.name);
  if (result.all_bf16) return;
  for (const auto& [name, kind] : chosen.float_layers)
    out_.print("            {} in {}\n", printable(name), kind_name(kind));
}

void QuantizeReport::speed(double ratio) {
  json_["speed_ratio"] = ratio;
  out_.print("speed       {:.2f} times the given model's\n", ratio);
}

void QuantizeReport::unchanged(bool slower) {
  json_["unchanged"] = true;
  out_.print("unchanged   {}: the given model is written as it is\n",
             slower ? "the chosen model is slower than the given one" : "no trial was within the drop");
}

void QuantizeReport::verdict(const char* which, const std::string& data, const Verdict& v) {
  const Comparison& c = v.comparison;
  out_.print("{:<12}{:.4f} ({} of {}), the given model {:.4f}: {:+.2f} points\n", which, v.accuracy(),
             c.correct_b(), c.images(), v.original_accuracy(), 0 - v.drop());
  out_.print("            {} flips, {} right to wrong, {} wrong to right: McNemar's p {:.3g}\n", c.flips(),
             c.right_to_wrong(), c.wrong_to_right(), mcnemar_p(c.right_to_wrong(), c.wrong_to_right()));
  Json json = verdict_json(v);
  json["data"] = data;
  json_[which] = std::move(json);
}

void QuantizeReport::finish(const std::string& model, const std::string& written, const std::string& ranges) {
  out_.print("wrote {}{}\n", written, ranges.empty() ? "" : " and " + printable(ranges));
  Json json{{"model", model}};
  json.update(json_);
  json["peak_rss_bytes"] = peak_rss_bytes();
  put_run_info(json, "quantize");
  out_.finish(json);
}

}  // namespace xdn::cli

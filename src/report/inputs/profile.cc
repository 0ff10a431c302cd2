#include "report/inputs/common.h"

namespace xdn::report {
namespace {

constexpr size_t kMostLayers = 5000;

/// `bench --profile` of before the evaluator calls them steps, and has milliseconds.
Profile::Layer read_layer(const Fields& json) {
  Profile::Layer layer;
  layer.layer = json.text("layer");
  layer.kernel = json.text_or("kernel", "");
  layer.arith = json.text_or("arith", "");
  layer.bound = json.text_or("bound", "");
  layer.seconds = json.has("seconds") ? json.number("seconds") : json.number("ms_per_image") * 1e-3;
  if (layer.seconds < 0) json.refuse("seconds", "expected a time");
  layer.macs = json.maybe_number("macs");
  layer.gmacs_per_second = json.maybe_number("gmacs_per_second");
  layer.peak_share = json.has("peak_share") ? json.maybe_number("peak_share") : json.maybe_number("of_peak");
  layer.macs_per_byte = json.maybe_number("macs_per_byte");
  return layer;
}

}  // namespace

void add_profile(const Fields& json, const std::string& title, Document& document) {
  Profile profile;
  profile.title = title;
  for (const Fields& layer : json.objects(json.has("layers") ? "layers" : "steps", kMostLayers)) {
    profile.layers.push_back(read_layer(layer));
  }
  if (json.has("peaks")) {
    for (const Fact& peak : json.object("peaks").facts()) {
      if (!peak.value.is_number() || peak.value.get<double>() <= 0) {
        json.refuse("peaks." + peak.label, "expected a positive number");
      }
      profile.peaks.push_back({peak.label, peak.value.get<double>()});
    }
  }
  if (json.has("bandwidth_gb_s")) profile.bandwidth = json.positive("bandwidth_gb_s");
  if (!profile.layers.empty()) document.profiles.push_back(std::move(profile));
}

}  // namespace xdn::report

#include "report/inputs/common.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>

namespace xdn::report {

std::string model_name(const std::string& spec) {
  const size_t colon = spec.rfind(".prototxt:");
  const std::filesystem::path file = colon == std::string::npos ? spec : spec.substr(colon + 10);
  const std::string extension = file.extension().string();
  const bool known = extension == ".onnx" || extension == ".caffemodel";
  const std::string name = (known ? file.stem() : file.filename()).string();
  return name.empty() ? spec : name;
}

std::string run_name(const Fields& json, const std::string& otherwise) {
  std::string name = json.has("model") ? model_name(json.text("model")) : json.text_or("name", otherwise);
  if (json.has("precision")) {
    const std::string precision = json.text("precision");
    if (name.find(precision) == std::string::npos) name = fmt::format("{} ({})", name, precision);
  }
  return name;
}

std::string percent(double share) { return fmt::format("{:.2f} %", share * 100); }

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size < 100) return fmt::format("{:.3g}", value);
  const std::string digits = fmt::format("{:.0f}", size);
  std::string grouped = value < 0 ? "-" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

void add_run_info(const Fields& json, const std::string& name, Document& document) {
  if (json.has("command")) add_command(document, json.text("command"));
  if (json.has("environment")) {
    add_environment(document, {name, json.object("environment").facts()});
  }
}

void add_settings(const Fields& json, const std::string& name, Document& document) {
  std::vector<Fact> settings = json.facts({"isa", "precision", "data_parallel", "model_parallel",
                                           "batch_tile", "huge_pages", "batch", "online", "scenario"});
  if (!settings.empty()) document.settings.push_back({name, std::move(settings)});
}

}  // namespace xdn::report

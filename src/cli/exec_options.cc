#include "cli/exec_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/error.h"

namespace xdn::cli {
namespace {

constexpr std::array kIsas{Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAvx512Bf16};
constexpr std::array kPrecisions{Precision::kFp32, Precision::kBf16, Precision::kInt8};
constexpr const char* kGroup = "Execution";
constexpr int kMostThreads = 4096;
constexpr int kMostTile = 4096;

struct FusionName {
  const char* name;
  FusionLevel level;
};
constexpr std::array kFusions{FusionName{"off", FusionLevel::kOff},
                              FusionName{"traditional", FusionLevel::kTraditional},
                              FusionName{"aggressive", FusionLevel::kAggressive}};

template <class Range, class F>
std::vector<std::string> names_of(const Range& range, F name) {
  std::vector<std::string> names;
  for (const auto& item : range) names.emplace_back(name(item));
  return names;
}

}  // namespace

CLI::Validator whole_number(int64_t least, int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) -> std::string {
        int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error == std::errc() && end == text.data() + text.size() && value >= least && value <= most)
          return {};
        return fmt::format("expected a whole number from {} to {}, not '{}'", least, most, printable(text));
      },
      "");
}

CLI::Option* add_choice(CLI::App& app, const std::string& option, std::string& value,
                        std::vector<std::string> names, const std::string& text) {
  const std::string type = fmt::format("{}", fmt::join(names, "|"));
  const CLI::Validator check(
      [names = std::move(names)](std::string& given) -> std::string {
        if (std::find(names.begin(), names.end(), given) != names.end()) return {};
        return fmt::format("expected one of {}, not '{}'", fmt::join(names, ", "), printable(given));
      },
      "");
  return app.add_option(option, value, text)->check(check)->type_name(type);
}

void ExecFlags::add_choices(CLI::App& app, const std::string& suffix, const std::string& text) {
  const auto choice = [&](const char* name, std::string& value, std::vector<std::string> names,
                          const char* what, const char* otherwise) {
    add_choice(app, name + suffix, value, std::move(names),
               fmt::format("{}{}", what, text.empty() ? otherwise : text))
        ->group(kGroup);
  };
  choice("--isa", isa, names_of(kIsas, isa_name), "Instruction set", "; default: the best this machine has");
  choice("--precision", precision, names_of(kPrecisions, precision_name), "Arithmetic",
         "; default: the file's");
  choice("--fusion", fusion, names_of(kFusions, [](const FusionName& f) { return f.name; }), "Fusion at load",
         "; default: traditional");
}

void ExecFlags::add_tuning_option(CLI::App& app) {
  tuning.clear();
  app.add_option("--tuning", tuning, "Record of xdn tune; default: the model's own, if it has one")
      ->type_name("FILE|off")
      ->group(kGroup);
}

void ExecFlags::add_build_choices(CLI::App& app) {
  add_choice(app, "--isa", isa, names_of(kIsas, isa_name),
             "Instruction set; default: the best this machine has")
      ->group(kGroup);
  add_choice(app, "--fusion", fusion, names_of(kFusions, [](const FusionName& f) { return f.name; }),
             "Fusion at load; default: traditional")
      ->group(kGroup);
}

void ExecFlags::add_options(CLI::App& app) {
  const auto number = [&](const char* name, int& value, int most, const char* text) {
    app.add_option(name, value, text)->check(whole_number(1, most))->type_name("N")->group(kGroup);
  };
  add_choices(app, "", "");
  number("--threads", threads, kMostThreads, "Threads in all; default: what the machine grants");
  number("--dp", data_parallel, kMostThreads, "Data-parallel workers, each with its own tile of images");
  number("--mp", model_parallel, kMostThreads, "Threads inside a worker");
  number("--tile", batch_tile, kMostTile, "Images a worker takes through the network at once");
}

ExecOptions ExecFlags::options() const {
  ExecOptions options;
  if (!isa.empty()) options.isa = parse_isa(isa);
  for (const Precision p : kPrecisions) {
    if (precision == precision_name(p)) options.precision = p;
  }
  for (const FusionName& f : kFusions) {
    if (fusion == f.name) options.fusion = f.level;
  }
  options.threads = threads;
  options.data_parallel = data_parallel;
  options.model_parallel = model_parallel;
  options.batch_tile = batch_tile;
  return options;
}

void put_settings(nlohmann::ordered_json& json, const ExecSettings& settings) {
  json["isa"] = isa_name(settings.isa);
  json["precision"] = chosen_precision_name(settings);
  json["data_parallel"] = settings.data_parallel;
  json["model_parallel"] = settings.model_parallel;
  json["batch_tile"] = settings.batch_tile;
  json["huge_pages"] = settings.huge_pages;
}

std::string settings_line(const ExecSettings& settings) {
  return fmt::format("{} on {}, {} x {} threads (data x model), tiles of {}", chosen_precision_name(settings),
                     isa_name(settings.isa), settings.data_parallel, settings.model_parallel,
                     settings.batch_tile);
}

}  // namespace xdn::cli

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "data/dataset.h"
#include "data/image.h"
#include "evaluator/accuracy.h"

namespace xdn::cli {
namespace {

constexpr int64_t kChunk = 64;  ///< images decoded before they are classified
constexpr size_t kMostClassBytes = size_t{16} << 20;

struct RunFlags {
  std::string model, classes;
  std::vector<std::string> images;
  int64_t top = 5;
  PixelFlags pixels;
  ExecFlags exec;
  Output output;
};

struct Answer {
  int64_t label = 0;
  double probability = 0;
  float logit = 0;
};

/// One name per line; the file's last line may or may not end.
std::vector<std::string> read_classes(const std::string& path, int64_t outputs) {
  const std::string text = read_file(path, kMostClassBytes);
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string name = text.substr(at, end - at);
    if (!name.empty() && name.back() == '\r') name.pop_back();
    names.push_back(std::move(name));
    at = end + 1;
  }
  if (static_cast<int64_t>(names.size()) != outputs) {
    throw input_error(fmt::format("holds {} class names, expected one per line for the model's {} outputs",
                                  names.size(), outputs))
        .in_file(path);
  }
  return names;
}

/// Adds the image's bytes to dst, RGB, height x width.
void append_image(const std::string& path, const Geometry& geometry, std::vector<uint8_t>& dst) {
  try {
    const Image image = fit_image(decode_image(path), geometry);
    dst.insert(dst.end(), image.rgb.begin(), image.rgb.end());
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

std::vector<Answer> answers_of(std::span<const float> logits, int64_t top) {
  const std::vector<double> probabilities = softmax(logits);
  std::vector<Answer> answers;
  for (const int64_t label : top_k(logits, top)) {
    const auto i = static_cast<size_t>(label);
    answers.push_back({label, probabilities[i], logits[i]});
  }
  return answers;
}

std::vector<std::vector<Answer>> classify(Executor& executor, const RunFlags& flags,
                                          const Geometry& geometry) {
  const auto n = static_cast<int64_t>(flags.images.size());
  const auto outputs = static_cast<size_t>(executor.output_size());
  std::vector<std::vector<Answer>> all;
  Progress progress("run", n);
  for (int64_t first = 0; first < n; first += kChunk) {
    const int64_t count = std::min(kChunk, n - first);
    std::vector<uint8_t> bytes;
    for (int64_t i = 0; i < count; ++i)
      append_image(flags.images[static_cast<size_t>(first + i)], geometry, bytes);
    std::vector<float> logits(static_cast<size_t>(count) * outputs);
    executor.run_u8({.data = bytes.data(), .fill = {}}, count, logits.data(), &progress.done());
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      all.push_back(answers_of({logits.data() + i * outputs, outputs}, flags.top));
    }
  }
  return all;
}

int run(const RunFlags& flags) {
  flags.output.check();
  ModelInput model = load_model_input(flags.model, flags.pixels);
  warn_of_raw_pixels(model);
  if (model.channels != 3) {
    throw input_error(fmt::format("takes images of {} channels, expected 3", model.channels))
        .in_file(model_file(flags.model));
  }
  const Geometry geometry = dataset_options(model.preprocess).geometry;
  std::vector<std::string> classes = model.preprocess.classes;
  Executor executor = make_executor(model, flags.exec, false, static_cast<int64_t>(flags.images.size()));
  if (!flags.classes.empty()) classes = read_classes(flags.classes, executor.output_size());
  const std::vector<std::vector<Answer>> results = classify(executor, flags, geometry);

  nlohmann::ordered_json json;
  json["model"] = flags.model;
  put_settings(json, executor.settings());
  json["images"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < results.size(); ++i) {
    flags.output.print("{}\n", printable(flags.images[i]));
    if (results[i].empty()) flags.output.print("  no answer: the logits hold a NaN\n");
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const Answer& answer : results[i]) {
      const auto label = static_cast<size_t>(answer.label);
      const std::string name = label < classes.size() ? classes[label] : fmt::format("class {}", label);
      flags.output.print("  {:6.2f} %  {}\n", answer.probability * 100, printable(name));
      top.push_back({{"class", answer.label},
                     {"name", name},
                     {"probability", answer.probability},
                     {"logit", answer.logit}});
    }
    json["images"].push_back({{"image", flags.images[i]}, {"top", std::move(top)}});
  }
  put_run_info(json, "run");
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_run(CLI::App& app) {
  const auto flags = std::make_shared<RunFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  app.add_option("IMAGE", flags->images, "JPEG or PNG files")->required()->type_name("FILE");
  app.add_option("--classes", flags->classes,
                 "Class names, one per line; default: those of MODEL.preprocess.json")
      ->type_name("FILE");
  app.add_option("--top", flags->top, "How many classes to name")
      ->check(whole_number(1))
      ->type_name("K")
      ->capture_default_str();
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  flags->exec.add_options(app);
  flags->exec.add_tuning_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

#include "cli/eval_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "data/image.h"
#include "evaluator/comparison.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostPrinted = 20;   ///< classes of a matrix on a page
constexpr size_t kMostMatrix = 256;   ///< classes of a matrix in JSON: half a megabyte
constexpr size_t kMostMistakes = 20;  ///< pairs
constexpr size_t kWorst = 3;
constexpr size_t kNameWidth = 16;

std::string cut(const std::string& name, size_t width) { return printable(name).substr(0, width); }

/// Name i, or i where there is none.
std::string name_or_number(const std::vector<std::string>& names, size_t i) {
  return i < names.size() ? names[i] : std::to_string(i);
}

/// The image as RGB, whatever the channel order of the data set.
Image image_of(const Dataset& dataset, int64_t index) {
  Image image{dataset.height(), dataset.width(), {}};
  image.rgb.resize(static_cast<size_t>(dataset.image_bytes()));
  dataset.read(index, 1, image.rgb.data());
  for (size_t at = 0; dataset.bgr() && at < image.rgb.size(); at += 3) {
    std::swap(image.rgb[at], image.rgb[at + 2]);
  }
  return image;
}

}  // namespace

std::vector<std::string> class_names(const std::vector<std::string>& of_data,
                                     const std::vector<std::string>& of_model, int64_t outputs) {
  const auto count = static_cast<size_t>(outputs);
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(i < of_data.size() ? of_data[i] : name_or_number(of_model, i));
  return names;
}

void EvalReport::print_worst(const Output& output) const {
  const std::vector<int64_t> worst = confusion.worst(kWorst);
  if (classes.size() > kMostPrinted || worst.empty()) return;
  std::string line;
  for (const int64_t label : worst) {
    line += fmt::format("{}{} {:.4f}", line.empty() ? "" : ", ", printable(name(label)),
                        confusion.accuracy(label));
  }
  output.print("worst       {}\n", line);
}

void EvalReport::print_confusion(const Output& output) const {
  if (classes.size() > kMostPrinted) {
    output.print("\nmost often confused, of {} classes\n", classes.size());
    for (const auto& [label, predicted, count] : confusion.mistakes(kMostMistakes)) {
      output.print("{:>6}  {} taken for {}\n", count, printable(name(label)), printable(name(predicted)));
    }
    return;
  }
  const int64_t classes_count = confusion.classes();
  int64_t most = 0;
  for (int64_t label = 0; label < classes_count; ++label) most = std::max(most, confusion.images(label));
  const size_t width = std::max<size_t>(3, std::to_string(most).size()) + 1;
  size_t names = 4;
  for (const std::string& name : classes) names = std::max(names, cut(name, kNameWidth).size());
  output.print("\nconfusion: rows are true classes, columns predictions\n{:>3} {:<{}}", "", "", names);
  for (int64_t c = 0; c < classes_count; ++c) output.print("{:>{}}", c, width);
  output.print("  accuracy\n");
  for (int64_t label = 0; label < classes_count; ++label) {
    output.print("{:>3} {:<{}}", label, cut(name(label), kNameWidth), names);
    for (int64_t c = 0; c < classes_count; ++c) {
      const int64_t count = confusion.count(label, c);
      output.print("{:>{}}", count == 0 ? "." : std::to_string(count), width);
    }
    if (confusion.images(label) == 0) {
      output.print("  no images\n");
    } else {
      output.print("    {:.4f}\n", confusion.accuracy(label));
    }
  }
  if (confusion.unpredicted() > 0)
    output.print("{} without a prediction: their logits hold a NaN\n", confusion.unpredicted());
}

void EvalReport::put(Json& json) const {
  const int64_t count = confusion.classes();
  json["classes"] = classes;
  if (classes.size() <= kMostMatrix) {
    json["confusion"] = Json::array();
    for (int64_t label = 0; label < count; ++label) {
      Json row = Json::array();
      for (int64_t c = 0; c < count; ++c) row.push_back(confusion.count(label, c));
      json["confusion"].push_back(std::move(row));
    }
  }
  json["confused"] = Json::array();
  for (const auto& [label, predicted, images] : confusion.mistakes(kMostMistakes))
    json["confused"].push_back({{"label", label}, {"predicted", predicted}, {"images", images}});
  json["per_class"] = Json::array();
  for (int64_t label = 0; label < count; ++label) {
    json["per_class"].push_back({{"class", name(label)},
                                 {"images", confusion.images(label)},
                                 {"correct", confusion.correct(label)},
                                 {"accuracy", confusion.accuracy(label)}});
  }
}

Json reference_json(const std::string& spec, const PairedPredictions& pair) {
  return {{"model", spec},
          {"correct", pair.correct_a},
          {"accuracy", static_cast<double>(pair.correct_a) / static_cast<double>(pair.images)},
          {"flips", pair.flips},
          {"right_to_wrong", pair.right_to_wrong},
          {"wrong_to_right", pair.wrong_to_right},
          {"mcnemar_p", mcnemar_p(pair.right_to_wrong, pair.wrong_to_right)}};
}

void print_reference(const Output& output, const std::string& spec, const PairedPredictions& pair) {
  output.print("reference   {:.4f}  ({} of {}), {}\n",
               static_cast<double>(pair.correct_a) / static_cast<double>(pair.images), pair.correct_a,
               pair.images, printable(spec));
  output.print("            {} flip{}, {} right to wrong, {} wrong to right: McNemar's p {:.3g}\n",
               pair.flips, pair.flips == 1 ? "" : "s", pair.right_to_wrong, pair.wrong_to_right,
               mcnemar_p(pair.right_to_wrong, pair.wrong_to_right));
}

Json samples_json(const std::vector<WrongImage>& samples, const Dataset& dataset) {
  Json json = Json::array();
  for (const WrongImage& sample : samples) {
    json.push_back({{"index", sample.index},
                    {"label", sample.label},
                    {"predicted", sample.predicted},
                    {"probability", sample.probability},
                    {"png", base64(to_png(image_of(dataset, sample.index)))}});
  }
  return json;
}

void print_samples(const Output& output, const std::vector<WrongImage>& samples, const Dataset& dataset,
                   const EvalReport& report) {
  constexpr size_t kMost = 10;
  output.print("\nwrong, most confident first\n");
  for (size_t i = 0; i < std::min(kMost, samples.size()); ++i) {
    const WrongImage& sample = samples[i];
    output.print("{:>7.2f} %  {} taken for {}: {}\n", 100 * sample.probability,
                 printable(report.name(sample.label)), printable(report.name(sample.predicted)),
                 printable(dataset.name(sample.index)));
  }
  if (samples.size() > kMost) output.print("           {} more in the JSON\n", samples.size() - kMost);
}

}  // namespace xdn::cli

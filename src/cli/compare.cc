#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "cli/compare_layers.h"
#include "cli/dataset_flags.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "data/pack.h"
#include "evaluator/comparison.h"
#include "evaluator/evaluate.h"
#include "evaluator/resources.h"
#include "evaluator/synthetic.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostBatch = 512, kMostBatchBytes = int64_t{64} << 20;

struct CompareFlags {
  std::string a, b, data, subset;
  int64_t random = 0, limit = 0, layer_images = 2;
  std::optional<double> tolerance;
  bool layers = false, no_verify = false;
  PixelFlags pixels;
  ExecFlags exec, exec_b;
  Output output;
};

/// A data set's images, or synthetic ones, some at a time.
class Images {
 public:
  /// Those of a data set, fitted for the model.
  Images(const CompareFlags& flags, const ModelInput& model)
      : dataset_(open_images(flags.data, subset_of(flags.subset), model)),
        size_(dataset_->size()),
        height_(dataset_->height()),
        width_(dataset_->width()),
        channels_(3) {}
  Images(int64_t size, const ModelInput& model)
      : size_(size),
        height_(model.preprocess.height),
        width_(model.preprocess.width),
        channels_(model.channels) {}

  int64_t size() const { return size_; }
  bool bgr() const { return dataset_ != nullptr && dataset_->bgr(); }
  int64_t image_bytes() const { return height_ * width_ * channels_; }
  std::string name(int64_t i) const {
    return dataset_ != nullptr ? dataset_->name(i) : fmt::format("synthetic image {}", i);
  }
  /// Of every image; empty where nobody labelled them.
  std::span<const int64_t> labels() const {
    return dataset_ != nullptr ? std::span<const int64_t>(dataset_->labels()) : std::span<const int64_t>();
  }
  /// Images first ... first + count - 1, contiguous; valid until the next call.
  const uint8_t* read(int64_t first, int64_t count) {
    if (dataset_ != nullptr && dataset_->mapped() != nullptr)
      return dataset_->mapped() + first * image_bytes();
    bytes_.resize(static_cast<size_t>(element_count({count, image_bytes()})));
    std::atomic<int64_t> done{0};
    if (dataset_ != nullptr) {
      read_images(*dataset_, first, count, bytes_.data(), done);
    } else {
      synthetic_images(first, count, height_, width_, channels_, bytes_.data());
    }
    return bytes_.data();
  }

 private:
  std::unique_ptr<Dataset> dataset_;
  int64_t size_, height_, width_, channels_;
  std::vector<uint8_t> bytes_;
};

/// The images as each model wants them: the same object for both, unless they resize or crop differently.
struct SharedImages {
  std::shared_ptr<Images> a, b;
};

bool same_geometry(const Preprocess& a, const Preprocess& b) {
  return a.resize == b.resize && a.crop == b.crop;
}

SharedImages open_shared(const CompareFlags& flags, const ModelInput& a, const ModelInput& b) {
  if (flags.data.empty()) {
    const auto images = std::make_shared<Images>(flags.random, a);
    return {images, images};
  }
  const auto images = std::make_shared<Images>(flags, a);
  if (is_pack(flags.data) && !flags.no_verify) verify_pack(flags.data);
  if (same_geometry(a.preprocess, b.preprocess)) return {images, images};
  return {images, std::make_shared<Images>(flags, b)};
}

/// Both take the same images and give as many outputs.
void check_inputs(const ModelInput& a, const ModelInput& b) {
  const auto differ = [&](const std::string& of_b, const std::string& of_a) {
    return input_error(fmt::format("{}, but {} {}", of_b, printable(model_file(a.spec)), of_a))
        .in_file(model_file(b.spec));
  };
  if (a.channels != b.channels) {
    throw differ(fmt::format("takes images of {} channels", b.channels), std::to_string(a.channels));
  }
  const Preprocess &pa = a.preprocess, &pb = b.preprocess;
  if (pa.height != pb.height || pa.width != pb.width) {
    throw differ(fmt::format("takes images of {}x{}", pb.height, pb.width),
                 fmt::format("{}x{}; see --size", pa.height, pa.width));
  }
  const size_t outputs_a = a.graph.outputs().size(), outputs_b = b.graph.outputs().size();
  if (outputs_a != outputs_b)
    throw differ(fmt::format("has {} outputs", outputs_b), std::to_string(outputs_a));
  if (outputs_a > 1)
    log_warning(fmt::format("both models have {} outputs, the first is compared", outputs_a));
}

ExecFlags flags_of_b(const CompareFlags& flags) {
  ExecFlags exec = flags.exec;
  if (!flags.exec_b.isa.empty()) exec.isa = flags.exec_b.isa;
  if (!flags.exec_b.precision.empty()) exec.precision = flags.exec_b.precision;
  if (!flags.exec_b.fusion.empty()) exec.fusion = flags.exec_b.fusion;
  return exec;
}

/// Labels that the models' outputs can be right about.
bool labels_fit(std::span<const int64_t> labels, int64_t outputs) {
  const auto fits = [&](int64_t label) { return label >= 0 && label < outputs; };
  return !labels.empty() && std::all_of(labels.begin(), labels.end(), fits);
}

struct Result {
  Comparison comparison;
  ExecSettings settings_a{}, settings_b{};
  int64_t outputs = 0;
  bool labelled = false;
};

Result compare_outputs(const CompareFlags& flags, ModelInput a, ModelInput b, const SharedImages& images,
                       int64_t n) {
  const int64_t image_bytes = images.a->image_bytes();
  const int64_t most = std::min({kMostBatch, n, std::max<int64_t>(1, kMostBatchBytes / image_bytes)});
  Executor executor_a = make_executor(a, flags.exec, images.a->bgr(), most);
  Executor executor_b = make_executor(b, flags_of_b(flags), images.b->bgr(), most);
  Result result;
  result.settings_a = executor_a.settings();
  result.settings_b = executor_b.settings();
  log_info("A: " + settings_line(result.settings_a));
  log_info("B: " + settings_line(result.settings_b));
  result.outputs = executor_a.output_size();
  if (executor_b.output_size() != result.outputs) {
    throw input_error(fmt::format("gives {} numbers per image, but {} {}", executor_b.output_size(),
                                  printable(model_file(a.spec)), result.outputs))
        .in_file(model_file(b.spec));
  }
  const auto outputs = static_cast<size_t>(result.outputs);
  const std::span<const int64_t> labels =
      images.a->labels().first(std::min(images.a->labels().size(), static_cast<size_t>(n)));
  result.labelled = labels_fit(labels, result.outputs);
  if (!labels.empty() && !result.labelled)
    log_warning(fmt::format("labels exceed the models' {} outputs: no accuracy", result.outputs));

  const int64_t row_bytes = result.outputs * static_cast<int64_t>(sizeof(float));
  const int64_t batch = std::min(most, std::max<int64_t>(1, kMostBatchBytes / row_bytes));
  std::vector<float> logits_a(static_cast<size_t>(element_count({batch, result.outputs}, sizeof(float))));
  std::vector<float> logits_b(logits_a.size());
  Progress progress("compare", 2 * n);
  for (int64_t first = 0; first < n; first += batch) {
    const int64_t count = std::min(batch, n - first);
    const uint8_t* bytes = images.a->read(first, count);
    executor_a.run_u8({.data = bytes, .fill = {}}, count, logits_a.data(), &progress.done());
    if (images.b != images.a) bytes = images.b->read(first, count);
    executor_b.run_u8({.data = bytes, .fill = {}}, count, logits_b.data(), &progress.done());
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
      const std::span<const float> row_a(logits_a.data() + i * outputs, outputs);
      const std::span<const float> row_b(logits_b.data() + i * outputs, outputs);
      if (result.labelled) {
        result.comparison.add(row_a, row_b, labels[static_cast<size_t>(first) + i]);
      } else {
        result.comparison.add(row_a, row_b);
      }
    }
  }
  return result;
}

std::string column(std::string text, size_t width) {
  if (text.size() > width) text = text.substr(0, width - 2) + "..";
  return text;
}

std::string number(double x) { return fmt::format("{:.2e}", x); }

Json print_layers(const LayerTable& table, const Output& out) {
  constexpr size_t kMostName = 40;
  size_t name_width = 5, shape_width = 5;
  for (const LayerRow& row : table.rows) {
    name_width = std::max(name_width, std::min(kMostName, printable(row.name).size()));
    shape_width = std::max(shape_width, to_string(row.shape_a).size());
  }
  Json json = Json::array();
  if (!table.rows.empty()) {
    out.print("{:<{}}  {:<{}}  {:>9}  {:>9}  {:>9}\n", "value", name_width, "shape", shape_width, "max error",
              "mean", "relative");
  }
  for (const LayerRow& row : table.rows) {
    out.print("{:<{}}  {:<{}}  ", column(printable(row.name), name_width), name_width, to_string(row.shape_a),
              shape_width);
    if (row.shape_a != row.shape_b) {
      out.print("B has {}\n", to_string(row.shape_b));
      json.push_back({{"name", row.name}, {"shape", row.shape_a}, {"shape_b", row.shape_b}});
      continue;
    }
    const ErrorStats& errors = row.errors;
    out.print("{:>9}  {:>9}  {:>9}\n", number(errors.max()), number(errors.mean()),
              number(errors.relative()));
    json.push_back({{"name", row.name},
                    {"shape", row.shape_a},
                    {"max_error", errors.max()},
                    {"mean_error", errors.mean()},
                    {"largest", errors.largest()},
                    {"relative_error", errors.relative()}});
  }
  out.print("{} of {} values of A, of {} of B, have the same name\n\n", table.rows.size(), table.values_a,
            table.values_b);
  return json;
}

Json side_json(const std::string& spec, const ExecSettings& settings, const Result& result, int64_t correct,
               int64_t not_finite) {
  Json json;
  json["model"] = spec;
  put_settings(json, settings);
  const Comparison& c = result.comparison;
  if (result.labelled) {
    json["correct"] = correct;
    json["accuracy"] = static_cast<double>(correct) / static_cast<double>(c.images());
  }
  json["not_finite"] = not_finite;
  return json;
}

Json result_json(const CompareFlags& flags, const Result& result) {
  const Comparison& c = result.comparison;
  const ErrorStats& errors = c.errors();
  Json json;
  json["a"] = side_json(flags.a, result.settings_a, result, c.correct_a(), c.not_finite_a());
  json["b"] = side_json(flags.b, result.settings_b, result, c.correct_b(), c.not_finite_b());
  json["data"] = flags.data.empty() ? Json(nullptr) : Json(flags.data);
  json["images"] = c.images();
  json["outputs"] = result.outputs;
  json["max_error"] = errors.max();
  json["mean_error"] = errors.mean();
  json["largest"] = errors.largest();
  json["relative_error"] = errors.relative();
  json["worst_image"] = errors.max_at() / result.outputs;
  json["worst_output"] = errors.max_at() % result.outputs;
  json["flips"] = c.flips();
  json["ties"] = c.ties();
  if (result.labelled) {
    json["right_to_wrong"] = c.right_to_wrong();
    json["wrong_to_right"] = c.wrong_to_right();
    json["mcnemar_p"] = mcnemar_p(c.right_to_wrong(), c.wrong_to_right());
  }
  return json;
}

void print_result(const CompareFlags& flags, const Result& result, const Images& images) {
  const Comparison& c = result.comparison;
  const ErrorStats& errors = c.errors();
  const Output& out = flags.output;
  out.print("A           {}\n", settings_line(result.settings_a));
  out.print("B           {}\n", settings_line(result.settings_b));
  out.print("images      {}, {} numbers each\n", c.images(), result.outputs);
  out.print("error       max {}, mean {}\n", number(errors.max()), number(errors.mean()));
  out.print("            {} of the largest output, {:.4g}\n", number(errors.relative()), errors.largest());
  if (errors.max() > 0) {
    out.print("            largest at output {} of {}\n", errors.max_at() % result.outputs,
              printable(images.name(errors.max_at() / result.outputs)));
  }
  if (c.not_finite_a() + c.not_finite_b() > 0) {
    out.print("not finite  {} image{} of A, {} of B with NaN or infinite outputs\n", c.not_finite_a(),
              c.not_finite_a() == 1 ? "" : "s", c.not_finite_b());
  }
  out.print("top-1       {} flip{}", c.flips(), c.flips() == 1 ? "" : "s");
  if (c.flips() > 0) {
    out.print(", {} of them tie{} (two classes within {:.0e} of the largest output, in both models)",
              c.ties(), c.ties() == 1 ? "" : "s", kTie);
  }
  out.print("\n");
  if (!result.labelled) return;
  const auto n = static_cast<double>(c.images());
  out.print("accuracy    A {:.4f} ({}), B {:.4f} ({})\n", static_cast<double>(c.correct_a()) / n,
            c.correct_a(), static_cast<double>(c.correct_b()) / n, c.correct_b());
  out.print("            {} right to wrong, {} wrong to right: McNemar's p {:.3g}\n", c.right_to_wrong(),
            c.wrong_to_right(), mcnemar_p(c.right_to_wrong(), c.wrong_to_right()));
}

Json layers_json(const CompareFlags& flags, const ModelInput& a, const ModelInput& b,
                 const SharedImages& images, int64_t n) {
  const int64_t few = std::min(n, flags.layer_images);
  Progress progress("layers", 2 * few);
  const auto pair = [&](int64_t i) {
    const uint8_t* of_a = images.a->read(i, 1);
    const uint8_t* of_b = images.b == images.a ? of_a : images.b->read(i, 1);
    return ImagePair{of_a, of_b, images.a->bgr(), images.b->bgr()};
  };
  const LayerTable table = compare_layers(a, b, few, pair, progress.done());
  progress.finish();
  return print_layers(table, flags.output);
}

void check_request(const CompareFlags& flags) {
  flags.output.check();
  if (flags.data.empty() && flags.random == 0)
    throw Error(ErrorKind::kUsage, "expected --data DATA or --random N; see xdn compare --help");
  if (flags.tolerance && !(*flags.tolerance >= 0 && std::isfinite(*flags.tolerance)))
    throw Error(ErrorKind::kUsage, "--tolerance: expected a number that is not negative");
}

int run(const CompareFlags& flags) {
  check_request(flags);
  ModelInput a = load_model_input(flags.a, flags.pixels), b = load_model_input(flags.b, flags.pixels);
  check_inputs(a, b);
  warn_of_raw_pixels(a);
  warn_of_raw_pixels(b);
  const SharedImages images = open_shared(flags, a, b);
  const int64_t n = flags.limit > 0 ? std::min(flags.limit, images.a->size()) : images.a->size();
  std::optional<Json> layers;
  Result result;
  if (flags.layers) {
    result = compare_outputs(flags, a, b, images, n);
    layers = layers_json(flags, a, b, images, n);
  } else {
    result = compare_outputs(flags, std::move(a), std::move(b), images, n);
  }
  print_result(flags, result, *images.a);
  const double relative = result.comparison.errors().relative();
  const bool within = !flags.tolerance || relative <= *flags.tolerance;
  Json json = result_json(flags, result);
  if (flags.tolerance) {
    json["tolerance"] = *flags.tolerance;
    json["within_tolerance"] = within;
  }
  if (layers) json["layers"] = std::move(*layers);
  json["peak_rss_bytes"] = peak_rss_bytes();
  put_run_info(json, "compare");
  flags.output.finish(json);
  if (within) return 0;
  throw failure(fmt::format("differs from {} by {} of the largest output, more than --tolerance {}",
                            printable(model_file(flags.a)), number(relative), *flags.tolerance))
      .in_file(model_file(flags.b));
}

}  // namespace

Action add_compare(CLI::App& app) {
  const auto flags = std::make_shared<CompareFlags>();
  app.add_option("A", flags->a, "The model to compare with")->required()->type_name("");
  app.add_option("B", flags->b, "The other model")->required()->type_name("");
  auto* data = app.add_option("--data", flags->data, "Pack, image folder or CIFAR-10 binary folder")
                   ->type_name("DATA");
  app.add_option("--random", flags->random, "N synthetic images instead")
      ->check(whole_number(1))
      ->type_name("N")
      ->excludes(data);
  app.add_option("--limit", flags->limit, "Only the first N images")->check(whole_number(1))->type_name("N");
  app.add_option("--tolerance", flags->tolerance,
                 "Exit with 1 where the largest error exceeds X times the largest output")
      ->type_name("X");
  auto* layers = app.add_flag("--layers", flags->layers,
                              "Also compare values of the same name, by the reference executor (slow)");
  app.add_option("--layer-images", flags->layer_images, "Images for --layers")
      ->check(whole_number(1))
      ->type_name("N")
      ->needs(layers)
      ->capture_default_str();
  app.add_flag("--no-verify", flags->no_verify, "Trust a pack's data without comparing their SHA-256");
  add_subset_option(app, flags->subset);
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  flags->exec.add_options(app);
  flags->exec_b.add_choices(app, "-b", " of B; default: as A");
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

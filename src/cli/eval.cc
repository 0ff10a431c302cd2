#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/dataset_flags.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "data/dataset.h"
#include "data/pack.h"
#include "evaluator/evaluate.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

struct EvalFlags {
  std::string model, data, predictions, subset;
  int64_t batch = 0, limit = 0;
  bool online = false, no_verify = false;
  PixelFlags pixels;
  ExecFlags exec;
  Output output;
};

void write_predictions(const std::string& path, std::span<const int64_t> labels,
                       const std::vector<int64_t>& predictions) {
  std::string text = "index,label,prediction\n";
  for (size_t i = 0; i < predictions.size(); ++i)
    text += fmt::format("{},{},{}\n", i, labels[i], predictions[i]);
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

int run(const EvalFlags& flags) {
  flags.output.check();
  if (!flags.predictions.empty()) check_output(flags.predictions);
  ModelInput model = load_model_input(flags.model, flags.pixels);
  warn_of_raw_pixels(model);
  const std::unique_ptr<Dataset> dataset = open_images(flags.data, subset_of(flags.subset), model);
  if (flags.online && dataset->mapped() != nullptr) {
    throw input_error("is decoded already, --online expects images to decode").in_file(flags.data);
  }
  double verify_seconds = 0;
  if (is_pack(flags.data) && !flags.no_verify) {
    const Stopwatch verify_watch;
    verify_pack(flags.data);
    verify_seconds = verify_watch.seconds();
  }
  const int64_t n = flags.limit > 0 ? std::min(flags.limit, dataset->size()) : dataset->size();
  const auto labels = std::span<const int64_t>(dataset->labels()).first(static_cast<size_t>(n));
  const int64_t image_bytes = dataset->image_bytes();
  log_info(fmt::format("{} of {} images, {} classes", n, dataset->size(), dataset->classes().size()));

  const Stopwatch plan_watch;
  Executor executor = make_executor(model, flags.exec, dataset->bgr(), flags.batch);
  const double plan_seconds = plan_watch.seconds();
  try {
    check_labels(labels, executor.output_size());
  } catch (Error& error) {
    throw error.in_file(flags.data);
  }
  log_info(settings_line(executor.settings()));

  ImageSource images;
  std::vector<uint8_t> decoded;
  double decode_seconds = 0;
  if (dataset->mapped() != nullptr) {
    images.data = dataset->mapped();
  } else if (flags.online) {
    images.fill = [&](int64_t first, int64_t count, uint8_t* dst) { dataset->read(first, count, dst); };
  } else {
    Progress progress("decode", n);
    const Stopwatch decode_watch;
    decoded = decode_all(*dataset, n, progress.done());
    decode_seconds = decode_watch.seconds();
    images.data = decoded.data();
  }
  const double warm_up_seconds = warm_up(executor, image_bytes, n).seconds;
  Progress progress("eval", n);
  const Evaluation result = evaluate(
      executor, images, labels, image_bytes,
      {.batch = flags.batch, .keep_predictions = !flags.predictions.empty(), .done = &progress.done()});
  progress.finish();

  const Accuracy& accuracy = result.accuracy;
  const double rate = static_cast<double>(n) / std::max(result.seconds_total, 1e-9);
  const bool has_top5 = dataset->classes().size() > 5 && executor.output_size() > 5;
  nlohmann::ordered_json json;
  json["model"] = flags.model;
  json["data"] = flags.data;
  json["images"] = accuracy.images();
  json["correct"] = accuracy.correct();
  json["accuracy"] = accuracy.top1();
  if (has_top5) json["top5"] = accuracy.top5();
  json["seconds_total"] = result.seconds_total;
  json["images_per_second"] = rate;
  put_settings(json, executor.settings());
  json["online"] = flags.online;
  json["batch"] = flags.batch == 0 ? n : flags.batch;
  json["load_seconds"] = model.load_seconds;
  json["plan_seconds"] = plan_seconds;
  json["verify_seconds"] = verify_seconds;
  json["decode_seconds"] = decode_seconds;
  json["warm_up_seconds"] = warm_up_seconds;
  json["peak_rss_bytes"] = peak_rss_bytes();

  if (!flags.predictions.empty()) write_predictions(flags.predictions, labels, result.predictions);
  const Output& out = flags.output;
  out.print("{}\n", settings_line(executor.settings()));
  out.print("accuracy    {:.4f}  ({} of {})\n", accuracy.top1(), accuracy.correct(), accuracy.images());
  if (has_top5) out.print("top 5       {:.4f}\n", accuracy.top5());
  out.print("time        {:.3f} s, {:.1f} images/s{}\n", result.seconds_total, rate,
            flags.online ? " with decoding" : "");
  out.print("before it   load {:.3f} s, plan {:.3f} s, warm-up {:.3f} s", model.load_seconds, plan_seconds,
            warm_up_seconds);
  if (verify_seconds > 0) out.print(", checksum {:.3f} s", verify_seconds);
  if (decode_seconds > 0) out.print(", decoding {:.3f} s", decode_seconds);
  out.print("\npeak RSS    {}\n", human_bytes(static_cast<double>(peak_rss_bytes())));
  out.finish(json);
  return 0;
}

}  // namespace

Action add_eval(CLI::App& app) {
  const auto flags = std::make_shared<EvalFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  app.add_option("--data", flags->data, "Pack, image folder or CIFAR-10 binary folder")
      ->required()
      ->type_name("DATA");
  app.add_option("--batch", flags->batch, "Images handed to the executor at once; default: all")
      ->check(whole_number(1))
      ->type_name("N");
  app.add_option("--limit", flags->limit, "Only the first N images")->check(whole_number(1))->type_name("N");
  app.add_flag("--online", flags->online, "Decode and preprocess while inferring, and count that time");
  app.add_option("--predictions", flags->predictions,
                 "Write index,label,prediction of every image to this CSV file")
      ->type_name("FILE");
  app.add_flag("--no-verify", flags->no_verify, "Trust a pack's data without comparing their SHA-256");
  add_subset_option(app, flags->subset);
  flags->output.add_option(app);
  flags->pixels.add_options(app);
  flags->exec.add_options(app);
  flags->exec.add_tuning_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

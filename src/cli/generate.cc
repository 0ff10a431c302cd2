#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "cli/exec_options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "data/generated.h"
#include "data/image_folder.h"
#include "data/pack.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

constexpr int64_t kFewest = 10, kMost = 10'000'000;  ///< images; the fewest have every class
constexpr int64_t kMostSeed = int64_t{1} << 53;      ///< what JSON carries exactly
constexpr int kMostWorkers = 1024;

struct GenerateFlags {
  std::string out, format = "pack";
  int64_t train = 20000, test = 4000, seed = 1;
  int workers = 0;
  Output output;
};

void make_folder(const std::string& dir) {
  std::error_code error;
  if (std::filesystem::is_directory(dir, error)) return;
  if (!std::filesystem::create_directory(dir, error)) {
    throw input_error("cannot create the folder: " +
                      (error ? error.message() : std::string("something else has that name")))
        .in_file(dir);
  }
}

int run(const GenerateFlags& flags) {
  flags.output.check();
  make_folder(flags.out);
  const Stopwatch watch;
  Progress progress("generate", flags.train + flags.test);
  const bool packs = flags.format == "pack";
  nlohmann::ordered_json written = nlohmann::ordered_json::array();
  nlohmann::ordered_json classes;
  int64_t before = 0;
  for (const Split half : {Split::kTrain, Split::kTest}) {
    const bool train = half == Split::kTrain;
    const auto dataset =
        generate_dataset(half, train ? flags.train : flags.test, static_cast<uint64_t>(flags.seed));
    const std::string path =
        (std::filesystem::path(flags.out) / (train ? "train" : "test")).string() + (packs ? ".pack" : "");
    ImageWork work;
    work.workers = flags.workers;
    work.progress = [&](int64_t done, int64_t) { progress.done() = before + done; };
    if (packs) {
      write_pack(*dataset, path, work);
    } else {
      write_image_folder(*dataset, path, work);
    }
    before += dataset->size();
    classes = dataset->classes();
    written.push_back({{"path", path}, {"images", dataset->size()}});
  }
  progress.finish();
  const double seconds = watch.seconds();

  for (const auto& half : written) {
    flags.output.print("wrote {}: {} images in {} classes\n", printable(half["path"].get<std::string>()),
                       half["images"].get<int64_t>(), classes.size());
  }
  flags.output.print("{:.2f} s\n", seconds);
  nlohmann::ordered_json json;
  json["seed"] = flags.seed;
  json["format"] = flags.format;
  json["classes"] = classes;
  json["written"] = written;
  json["seconds_total"] = seconds;
  json["images_per_second"] = static_cast<double>(before) / seconds;
  put_run_info(json, "generate");
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_generate(CLI::App& app) {
  const auto flags = std::make_shared<GenerateFlags>();
  app.add_option("-o,--output", flags->out,
                 "Where train and test come to lie, a folder; made if it is not there")
      ->required()
      ->type_name("DIR");
  app.add_option("--train", flags->train, "Training images")
      ->check(whole_number(kFewest, kMost))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--test", flags->test, "Test images")
      ->check(whole_number(kFewest, kMost))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--seed", flags->seed, "Other pictures for every number")
      ->check(whole_number(0, kMostSeed))
      ->capture_default_str()
      ->type_name("N");
  add_choice(app, "--format", flags->format, {"pack", "folder"},
             "DIR/train.pack and DIR/test.pack, or DIR/train/CLASS/N.png and DIR/test/CLASS/N.png")
      ->capture_default_str();
  app.add_option("--workers", flags->workers, "Drawing threads; default: one per processor")
      ->check(whole_number(1, kMostWorkers))
      ->type_name("N");
  flags->output.add_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

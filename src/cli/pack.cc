#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"
#include "cli/dataset_flags.h"
#include "cli/exec_options.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "data/dataset.h"
#include "data/pack.h"
#include "evaluator/resources.h"

namespace xdn::cli {
namespace {

constexpr int kMostWorkers = 1024;

struct PackFlags {
  std::string data, out, size, color = "RGB", split, subset;
  int64_t resize = 0, crop = 0;
  int workers = 0;
  Output output;
};

DatasetOptions dataset_options(const PackFlags& flags) {
  DatasetOptions options;
  options.geometry.resize = flags.resize;
  options.geometry.crop = flags.crop;
  if (!flags.size.empty()) {
    const Size size = parse_size(flags.size);
    options.geometry.height = size.height;
    options.geometry.width = size.width;
  }
  options.bgr = flags.color == "BGR";
  options.split = subset_of(flags.subset);
  return options;
}

void check_target(const std::string& dir) {
  namespace fs = std::filesystem;
  fs::path wanted(dir);
  if (!wanted.has_filename()) wanted = wanted.parent_path();  // "out/"
  const fs::path parent = wanted.has_parent_path() ? wanted.parent_path() : ".";
  std::error_code ignored;
  if (!fs::is_directory(parent, ignored)) {
    throw input_error("cannot write: the folder it would stand in does not exist").in_file(dir);
  }
}

int run(const PackFlags& flags) {
  flags.output.check();
  check_target(flags.out);
  std::optional<int64_t> first;
  if (!flags.split.empty()) first = parse_pack_split(flags.split);
  const Stopwatch watch;
  const std::unique_ptr<Dataset> dataset = open_dataset(flags.data, dataset_options(flags));
  Progress progress("pack", dataset->size());
  PackOptions options;
  options.workers = flags.workers;
  int64_t counted = 0, last = 0;  // a split is written pack by pack, each counting from zero
  options.progress = [&](int64_t done, int64_t) {
    if (done < last) counted += last;
    last = done;
    progress.done() = counted + done;
  };
  std::vector<std::string> packs;
  if (first) {
    write_split_packs(*dataset, flags.out, *first, options);
    packs = {flags.out + "-first", flags.out + "-rest"};
  } else {
    write_pack(*dataset, flags.out, options);
    packs = {flags.out};
  }
  progress.finish();
  const double seconds = watch.seconds();

  nlohmann::ordered_json json;
  json["source"] = flags.data;
  json["images"] = dataset->size();
  json["classes"] = dataset->classes().size();
  json["size"] = {dataset->height(), dataset->width()};
  json["color"] = flags.color;
  json["seconds_total"] = seconds;
  json["images_per_second"] = static_cast<double>(dataset->size()) / seconds;
  json["packs"] = nlohmann::ordered_json::array();
  flags.output.print("{} images of {}x{} in {} classes, {:.2f} s\n", dataset->size(), dataset->height(),
                     dataset->width(), dataset->classes().size(), seconds);
  for (const std::string& dir : packs) {
    const int64_t images = open_pack(dir)->size();
    json["packs"].push_back({{"path", dir}, {"images", images}});
    flags.output.print("wrote {}: {} images\n", printable(dir), images);
  }
  put_run_info(json, "pack");
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_pack(CLI::App& app) {
  const auto flags = std::make_shared<PackFlags>();
  app.add_option("DATA", flags->data, "Image folder, CIFAR-10 binary folder, or pack")
      ->required()
      ->type_name("");
  app.add_option("-o,--output", flags->out, "The pack to write, a folder; a pack of that name is replaced")
      ->required()
      ->type_name("DIR");
  app.add_option("--split", flags->split,
                 "Two packs: DIR-first with the first N images of each class, DIR-rest")
      ->type_name("first:N/rest");
  app.add_option("--workers", flags->workers, "Decoding threads; default: one per processor")
      ->check(whole_number(1, kMostWorkers))
      ->type_name("N");
  add_subset_option(app, flags->subset);
  add_resize_options(app, flags->resize, flags->crop);
  add_size_option(app, flags->size);
  app.get_option("--size")->description("Height x width of the result; default: that of the first image");
  add_choice(app, "--color", flags->color, {"RGB", "BGR"}, "Order of the channels")
      ->capture_default_str()
      ->group("Preprocessing");
  flags->output.add_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

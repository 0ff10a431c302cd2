#include "cli/dataset_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/exec_options.h"
#include "data/pack.h"

namespace xdn::cli {

void add_subset_option(CLI::App& app, std::string& subset) {
  add_choice(app, "--subset", subset, {"train", "test"},
             "Which half of a data set that has two; default: test");
}

Split subset_of(const std::string& subset) {
  return subset == "train" ? Split::kTrain : subset == "test" ? Split::kTest : Split::kAuto;
}

std::unique_ptr<Dataset> open_images(const std::string& path, Split split, const ModelInput& model) {
  if (model.channels != 3) {
    throw input_error(fmt::format("takes images of {} channels, data sets have 3", model.channels))
        .in_file(model_file(model.spec));
  }
  DatasetOptions options = dataset_options(model.preprocess);
  options.split = split;
  std::unique_ptr<Dataset> dataset = open_dataset(path, options);
  if (dataset->mapped() == nullptr && is_pack(path)) {
    // Its bytes are BGR: mapped as they are, the executor swaps the channels.
    options.bgr = true;
    dataset = open_dataset(path, options);
  }
  if (dataset->height() != model.preprocess.height || dataset->width() != model.preprocess.width) {
    throw input_error(fmt::format("holds images of {}x{}, the model takes {}x{}", dataset->height(),
                                  dataset->width(), model.preprocess.height, model.preprocess.width))
        .in_file(path);
  }
  return dataset;
}

void read_images(const Dataset& dataset, int64_t first, int64_t count, uint8_t* dst,
                 std::atomic<int64_t>& done) {
  constexpr int64_t kBlock = 16;
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (int64_t at = next.fetch_add(kBlock); at < count; at = next.fetch_add(kBlock)) {
        const int64_t block = std::min(kBlock, count - at);
        dataset.read(first + at, block, dst + at * dataset.image_bytes());
        done += block;
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = count;
    }
  };
  {
    const auto workers = int64_t{available_cpus()};
    std::vector<std::jthread> threads;
    for (int64_t i = 1; i < std::min(workers, (count + kBlock - 1) / kBlock); ++i) threads.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

std::vector<uint8_t> decode_all(const Dataset& dataset, int64_t images, std::atomic<int64_t>& done) {
  if (images > kMostDecodedBytes / dataset.image_bytes()) {
    throw input_error(
        fmt::format("{} images of {} bytes are too much to decode at once: write them with xdn pack, or "
                    "decode them on the way with --online",
                    images, dataset.image_bytes()))
        .in_file(dataset.source());
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(images * dataset.image_bytes()));
  read_images(dataset, 0, images, bytes.data(), done);
  return bytes;
}

void check_classes(const ModelInput& model, const Dataset& dataset) {
  const Dims& shape = model.graph.value(model.graph.outputs().at(0)).shape;
  if (shape.size() < 2) return;  // the trainer says what is wrong with it
  const int64_t outputs = element_count(Dims(shape.begin() + 1, shape.end()));
  const auto classes = static_cast<int64_t>(dataset.classes().size());
  if (classes == outputs) return;
  throw input_error(
      fmt::format("holds {} classes, {} has {} outputs", classes, printable(model.spec), outputs))
      .in_file(dataset.source());
}

}  // namespace xdn::cli

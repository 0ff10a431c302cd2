#include "cli/dataset_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/exec_options.h"

namespace xdn::cli {

void add_subset_option(CLI::App& app, std::string& subset) {
  add_choice(app, "--subset", subset, {"train", "test"},
             "Which half of a data set that has two; default: test");
}

Split subset_of(const std::string& subset) {
  return subset == "train" ? Split::kTrain : subset == "test" ? Split::kTest : Split::kAuto;
}

std::vector<uint8_t> decode_all(const Dataset& dataset, int64_t images, std::atomic<int64_t>& done) {
  constexpr int64_t kBlock = 16;
  if (images > kMostDecodedBytes / dataset.image_bytes()) {
    throw input_error(
        fmt::format("{} images of {} bytes are too much to decode at once: write them with xdn pack, or "
                    "decode them on the way with --online",
                    images, dataset.image_bytes()))
        .in_file(dataset.source());
  }
  std::vector<uint8_t> bytes(static_cast<size_t>(images * dataset.image_bytes()));
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (int64_t first = next.fetch_add(kBlock); first < images; first = next.fetch_add(kBlock)) {
        const int64_t count = std::min(kBlock, images - first);
        dataset.read(first, count, bytes.data() + first * dataset.image_bytes());
        done += count;
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = images;
    }
  };
  {
    const auto workers = int64_t{available_cpus()};
    std::vector<std::jthread> threads;
    for (int64_t i = 1; i < std::min(workers, (images + kBlock - 1) / kBlock); ++i)
      threads.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
  return bytes;
}

}  // namespace xdn::cli

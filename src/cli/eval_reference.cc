#include "cli/eval_reference.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "cli/dataset_flags.h"
#include "cli/progress.h"
#include "evaluator/evaluate.h"
#include "evaluator/predictions.h"
#include "evaluator/resources.h"

namespace xdn::cli {

EvalImages::EvalImages(const std::string& path, Split split, const ModelInput& model, bool online)
    : online_(online) {
  const Stopwatch watch;
  dataset_ = open_images(path, split, model);
  map_seconds_ = watch.seconds();
  if (online && dataset_->mapped() != nullptr)
    throw input_error("is decoded already, --online expects images to decode").in_file(path);
}

void EvalImages::prepare(int64_t n) {
  if (dataset_->mapped() != nullptr || online_) return;
  Progress progress("decode", n);
  const Stopwatch watch;
  decoded_ = decode_all(*dataset_, n, progress.done());
  decode_seconds_ = watch.seconds();
}

ImageSource EvalImages::source() const {
  if (dataset_->mapped() != nullptr) return {.data = dataset_->mapped(), .fill = {}};
  if (!online_) return {.data = decoded_.data(), .fill = {}};
  return {.data = nullptr,
          .fill = [this](int64_t first, int64_t count, uint8_t* dst) { dataset_->read(first, count, dst); }};
}

void check_reference(const std::string& spec) {
  for (const std::string& file : model_files(spec)) {
    if (access(file.c_str(), R_OK) != 0)
      throw input_error(fmt::format("cannot open: {}", std::strerror(errno))).in_file(file);
  }
}

std::vector<int64_t> reference_predictions(const ReferenceRequest& request, std::span<const int64_t> labels,
                                           int64_t outputs) {
  if (is_predictions_file(request.spec)) return read_predictions(request.spec, labels, outputs);
  const auto n = std::ssize(labels);
  ModelInput model = load_model_input(request.spec, request.pixels);
  warn_of_raw_pixels(model);
  EvalImages images(request.data, request.split, model, request.online);
  ExecFlags exec;
  exec.isa = request.exec.isa;
  exec.threads = request.exec.threads;
  exec.data_parallel = request.exec.data_parallel;
  exec.model_parallel = request.exec.model_parallel;
  Executor executor = make_executor(model, exec, images.dataset().bgr(), request.batch);
  if (executor.output_size() != outputs) {
    throw input_error(fmt::format("has {} outputs, the model evaluated has {}: their classes differ",
                                  executor.output_size(), outputs))
        .in_file(model_file(request.spec));
  }
  images.prepare(n);
  Progress progress("reference", n);
  return evaluate(executor, images.source(), labels, images.dataset().image_bytes(),
                  {.batch = request.batch, .keep_predictions = true, .done = &progress.done()})
      .predictions;
}

}  // namespace xdn::cli

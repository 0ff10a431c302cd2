#include "cli/prune_stages.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/child.h"
#include "cli/model_input.h"
#include "cli/model_output.h"
#include "cli/process.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostSettingsBytes = size_t{1} << 20;

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (!fs::is_directory(path)) {
    throw input_error("cannot create the folder: " + (error ? error.message() : "is a file")).in_file(path);
  }
}

}  // namespace

PruneFolder::PruneFolder(const PruneFlags& flags) : flags_(flags), root_(flags.run_folder()) {
  make_folder(root_);
  lock_.emplace(path("lock"));
  try {
    if (!lock_->held()) throw input_error("is in use by another xdn prune");
    using Handler = nlohmann::ordered_json::error_handler_t;
    begin(flags.settings().dump(1, ' ', false, Handler::replace) + "\n");
  } catch (Error& error) {
    if (error.file().empty()) error.in_file(root_);
    throw;
  }
}

void PruneFolder::begin(const std::string& settings) {
  const std::string file = path("settings.json");
  const bool same = has(file) && read_file(file, kMostSettingsBytes) == settings;
  const bool begun = has(path("step-1"));
  if (begun && !has(file)) throw input_error("holds files that are not those of a pruning run");
  if (begun && !flags_.learning.resume)
    throw input_error("holds a run already: --resume continues it, --run DIR begins another");
  if (begun && !same) throw input_error("holds a run of other settings, which settings.json there tells");
  if (same) return;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(root_, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!has(file) && name != "lock")
      throw input_error(fmt::format("holds {}: expected an empty folder, or a new one", printable(name)));
  }
  for (const char* name : {"latency.json", "model.onnx", "model.preprocess.json"})
    fs::remove(path(name), ignored);
  AtomicFile out(file);
  out.write(settings);
  out.commit();
}

std::string PruneFolder::path(int step, const std::string& name) const {
  const std::string folder = path(fmt::format("step-{}", step));
  make_folder(folder);
  return folder + "/" + name;
}

bool PruneFolder::has(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

void PruneFolder::write(const Graph& graph, const std::string& path) const {
  (void)write_model(graph, flags_.model, path);
}

Graph PruneFolder::read(const std::string& path) const {
  ModelInput model = load_model_input(path, {});
  return std::move(model.graph);
}

std::vector<std::string> PruneFolder::words(const std::string& model) const {
  std::vector<std::string> out{model, "--data", flags_.data, "--seed",
                               fmt::format("{}", flags_.learning.seed)};
  out.insert(out.end(), flags_.learning_words.begin(), flags_.learning_words.end());
  if (flags_.learning.threads != 0)
    out.insert(out.end(), {"--threads", fmt::format("{}", flags_.learning.threads)});
  if (flags_.learning.no_verify) out.emplace_back("--no-verify");
  return out;
}

void PruneFolder::call(std::vector<std::string> words) const {
  log_info(fmt::format("xdn train {}", fmt::join(words, " ")));
  const int code = run_child(program_beside("xdn-train"), words, flags_.output.text_on_stderr());
  if (code != kDone) throw TrainingEnded{code};
}

void PruneFolder::score(const std::string& model, const std::string& scores) const {
  std::vector<std::string> all = words(model);
  all.insert(all.end(), {"--scores", scores, "--score-images", fmt::format("{}", flags_.score_images)});
  call(std::move(all));
}

void PruneFolder::train(const std::string& model, const std::string& out, int64_t epochs,
                        const std::vector<std::string>& sparsity) const {
  std::vector<std::string> all = words(model);
  // Averages do not become zero.
  if (!sparsity.empty())
    std::erase_if(all, [](const std::string& word) { return word.starts_with("--ema="); });
  const double warmup = std::min(flags_.learning.warmup, static_cast<double>(epochs));
  all.insert(all.end(), {"-o", out, "--resume", "--epochs", fmt::format("{}", epochs), "--warmup",
                         fmt::format("{}", warmup)});
  if (!flags_.val.empty()) all.insert(all.end(), {"--val", flags_.val});
  const std::string& teacher = flags_.learning.teacher;
  if (teacher != "none") {
    all.insert(all.end(), {"--teacher", teacher.empty() ? flags_.model : teacher});
    all.insert(all.end(), flags_.teaching_words.begin(), flags_.teaching_words.end());
  }
  all.insert(all.end(), sparsity.begin(), sparsity.end());
  call(std::move(all));
}

}  // namespace xdn::cli

#include "cli/model_output.h"

#include <filesystem>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "data/preprocess.h"

namespace xdn::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPreprocessBytes = size_t{1} << 20;

}  // namespace

void check_model_output(const std::string& model, const std::string& out) {
  std::error_code ignored;
  for (const std::string& file_out : xdn::model_files(out)) {
    check_output(file_out);
    for (const std::string& file : model_files(model)) {
      if (fs::equivalent(file, file_out, ignored)) {
        throw input_error("is the model itself, expected another name to write to").in_file(file_out);
      }
    }
  }
}

std::string write_model(const Graph& graph, const std::string& model, const std::string& out,
                        const ExportOptions& options) {
  const std::string from = model_stem(model) + ".preprocess.json";
  const std::string to = model_stem(out) + ".preprocess.json";
  std::optional<AtomicFile> preprocess;
  std::error_code ignored;
  if (fs::exists(from, ignored) && !fs::equivalent(from, to, ignored)) {
    (void)read_preprocess(from);
    check_output(to);
    preprocess.emplace(to);
    preprocess->write(read_file(from, kMostPreprocessBytes));
  }
  // A model alone would be taken for one of raw pixels; a preprocess file alone does no harm.
  if (preprocess) preprocess->commit();
  save_model(graph, out, options);
  return printable(out) + (preprocess ? " and " + printable(to) : "");
}

}  // namespace xdn::cli

#include "cli/prune_checks.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/error.h"
#include "cli/child.h"
#include "cli/dataset_flags.h"
#include "cli/model_output.h"
#include "formats/model_io.h"
#include "pruning/groups.h"

namespace xdn::cli {
namespace {

/// Plans, scores and tables are JSON, and name layers.
void check_names(const Graph& graph) {
  for (const NodeId id : graph.order()) {
    const std::string name = layer_name(graph, graph.node(id));
    try {
      (void)nlohmann::json(name).dump();
    } catch (const nlohmann::json::exception&) {
      throw input_error("has a name that is not UTF-8, which a plan cannot hold").in_layer(name);
    }
  }
}

}  // namespace

void check_prune_request(const PruneFlags& flags) {
  flags.check();
  flags.output.check();
  check_model_output(flags.model, flags.out);
  check_output(flags.plan_path());
  check_output(xdn::model_stem(flags.out) + ".preprocess.json");
  std::error_code ignored;
  const auto folder = std::filesystem::weakly_canonical(flags.run_folder(), ignored);
  for (const std::string& file : xdn::model_files(flags.out)) {
    if (std::filesystem::weakly_canonical(file, ignored).parent_path() == folder)
      throw input_error("lies in the folder of the run, expected another place").in_file(file);
  }
  if (!flags.plan_only) check_program(program_beside("xdn-train"));
}

void check_prune_input(const PruneFlags& flags, const ModelInput& model) {
  check_names(model.graph);
  (void)pruning::find_groups(model.graph, {flags.keep.begin(), flags.keep.end()});
  check_data({flags.data, flags.val, flags.test}, model);
  check_teacher(flags.learning.teacher, flags.data, model);
}

void check_data(const std::vector<std::string>& data, const ModelInput& model) {
  const std::string* first = nullptr;
  std::vector<std::string> classes;
  for (const std::string& path : data) {
    if (path.empty()) continue;
    const auto images = open_images(path, Split::kAuto, model);
    check_classes(model, *images);
    if (first == nullptr) {
      first = &path;
      classes = images->classes();
    }
    if (classes == images->classes()) continue;
    throw input_error(fmt::format("has other classes than {}, or in another order", printable(*first)))
        .in_file(path);
  }
}

void check_teacher(const std::string& teacher, const std::string& data, const ModelInput& model) {
  if (teacher.empty() || teacher == "none") return;
  const ModelInput loaded = load_model_input(teacher, {});
  check_classes(loaded, *open_images(data, Split::kAuto, model));
}

}  // namespace xdn::cli

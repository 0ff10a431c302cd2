#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/cpu.h"
#include "base/error.h"
#include "cli/exec_options.h"
#include "cli/experiment_run.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

std::string row_names() {
  std::string names;
  for (const experiment::Row& row : experiment::rows())
    names += fmt::format("{}{}", names.empty() ? "" : ", ", row.name);
  return names;
}

CLI::Validator row_list() {
  return CLI::Validator(
      [](std::string& name) -> std::string {
        if (experiment::find_row(name) != nullptr) return {};
        return fmt::format("expected some of {}, not '{}'", row_names(), printable(name));
      },
      "");
}

}  // namespace

Action add_experiment(CLI::App& app) {
  const auto flags = std::make_shared<ExperimentFlags>();
  flags->threads = std::min(2, available_cpus());
  app.add_option("DIR", flags->dir, "Folder for results; what is finished in it is not measured again")
      ->required()
      ->type_name("");
  flags->inputs.add_options(app);
  app.add_option("--repeats", flags->repeats, "Passes of each row, taking turns")
      ->check(whole_number(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--rows", flags->rows, "Only these rows: " + row_names())
      ->check(row_list())
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LIST");
  app.add_option("--minutes", flags->minutes, "Begin no second or later round that would end after this time")
      ->check(whole_number(1, 100'000))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--threads", flags->threads, "Threads of every engine")
      ->check(whole_number(1, 4096))
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--tune-budget", flags->tune_budget, "Seconds of tuning for each model and fusion")
      ->check(whole_number(1))
      ->type_name("S")
      ->capture_default_str();
  app.add_option("--limit", flags->limit, "Only the first N images; default: all")
      ->check(whole_number(1))
      ->type_name("N");
  app.add_flag("--quick", flags->quick, "One pass of each row over the first 1000 images, tuned in a second");
  flags->output.add_option(app);
  return [flags] { return ExperimentRun(*flags).run(); };
}

}  // namespace xdn::cli

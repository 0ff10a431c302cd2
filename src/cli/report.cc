#include "report/report.h"

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace xdn::cli {
namespace {

struct ReportFlags {
  std::vector<std::string> runs;
  std::string out = "report.html", title;
  Output output;
};

int run(const ReportFlags& flags) {
  flags.output.check();
  check_output(flags.out);
  const report::Document document = report::read_document(flags.runs, flags.title);
  for (const std::string& source : document.sources) {
    std::error_code ignored;
    if (std::filesystem::equivalent(source, flags.out, ignored)) {
      throw input_error("is one of the runs: -o would overwrite it").in_file(flags.out);
    }
  }
  const report::WrittenPage written = report::write_page(document, flags.out);
  flags.output.print("wrote {} ({}, {} run{}{})\n", flags.out,
                     human_bytes(static_cast<double>(written.bytes)), document.sources.size(),
                     document.sources.size() == 1 ? "" : "s", written.charts ? "" : ", built without charts");
  nlohmann::ordered_json json;
  json["out"] = flags.out;
  json["title"] = document.title;
  json["bytes"] = written.bytes;
  json["charts"] = written.charts;
  json["runs"] = document.sources;
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_report(CLI::App& app) {
  const auto flags = std::make_shared<ReportFlags>();
  app.add_option("RUN", flags->runs,
                 "A folder of xdn experiment, optimize or train, or what a verb wrote with --json; several "
                 "join into one page")
      ->required()
      ->type_name("");
  app.add_option("-o,--out", flags->out, "The page")->type_name("FILE")->capture_default_str();
  app.add_option("--title", flags->title, "The page's title; default: the first run's")->type_name("TEXT");
  flags->output.add_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

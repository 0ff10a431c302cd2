#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/error.h"
#include "cli/model_input.h"
#include "cli/output.h"
#include "cli/plan_report.h"
#include "cli/run_info.h"
#include "cli/verbs.h"
#include "formats/model_io.h"

namespace xdn::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InfoFlags {
  std::string model;
  bool kernels = false, dot = false, text = false;
  ExecFlags exec;
  Output output;
};

/// Layers as the file counts them, which the importer knows; else the graph's nodes.
int64_t source_layers(const Graph& graph) {
  const auto found = graph.metadata.find("source_layers");
  int64_t layers = 0;
  if (found != graph.metadata.end()) {
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), layers);
    if (error == std::errc() && end == text.data() + text.size() && layers > 0) return layers;
  }
  return static_cast<int64_t>(graph.order().size());
}

Json value_json(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  return {{"name", value.name}, {"dtype", dtype_name(value.dtype)}, {"shape", value.shape}};
}

/// text in `width` columns (of bytes), cut if it must be.
std::string column(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

void print_table(const Graph& graph, const Output& output) {
  constexpr size_t kMostName = 36;
  size_t name_width = 5, op_width = 2, shape_width = 6;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    name_width = std::max(name_width, std::min(kMostName, printable(node.name).size()));
    op_width = std::max(op_width, op_info(node.type).name.size());
    shape_width = std::max(shape_width, to_string(graph.value(node.output).shape).size());
  }
  output.print("{:>4}  {:<{}}  {:<{}}  {:<{}}  {:>10}  {:>8}\n", "#", "layer", name_width, "op", op_width,
               "output", shape_width, "parameters", "MACs");
  size_t row = 0;
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const NodeCost cost = node_cost(graph, node);
    output.print("{:>4}  {:<{}}  {:<{}}  {:<{}}  {:>10}  {:>8}\n", ++row,
                 column(printable(node.name), name_width), name_width, op_info(node.type).name, op_width,
                 to_string(graph.value(node.output).shape), shape_width,
                 cost.parameters == 0 ? "" : human_count(static_cast<double>(cost.parameters)),
                 cost.macs == 0 ? "" : human_count(static_cast<double>(cost.macs)));
  }
  output.print("\n");
}

Json info_json(const std::string& spec, const Graph& graph, const NodeCost& cost) {
  Json json;
  json["model"] = spec;
  json["name"] = graph.name;
  json["layers"] = source_layers(graph);
  json["nodes"] = graph.order().size();
  json["parameters"] = cost.parameters;
  json["macs"] = cost.macs;
  json["macs_effective"] = cost.macs_effective;
  json["input"] = graph.inputs().empty() ? Json(nullptr) : value_json(graph, graph.inputs()[0]);
  json["inputs"] = Json::array();
  for (const ValueId id : graph.inputs()) json["inputs"].push_back(value_json(graph, id));
  json["outputs"] = Json::array();
  for (const ValueId id : graph.outputs()) json["outputs"].push_back(value_json(graph, id));
  json["table"] = Json::array();
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    const NodeCost node_costs = node_cost(graph, node);
    json["table"].push_back({{"layer", node.name},
                             {"op", op_info(node.type).name},
                             {"shape", graph.value(node.output).shape},
                             {"parameters", node_costs.parameters},
                             {"macs", node_costs.macs},
                             {"macs_effective", node_costs.macs_effective}});
  }
  return json;
}

std::string values_line(const Graph& graph, const std::vector<ValueId>& ids) {
  std::string line;
  for (const ValueId id : ids) {
    const Value& value = graph.value(id);
    line += fmt::format("{}{} {}{}", line.empty() ? "" : ", ", printable(value.name), dtype_name(value.dtype),
                        to_string(value.shape));
  }
  return line;
}

int run(const InfoFlags& flags) {
  flags.output.check();
  if (flags.kernels) {
    ModelInput model = load_model_input(flags.model, {});
    const Executor executor = make_executor(model, flags.exec, false, 0);
    print_plan(flags.output, executor);
    Json json;
    json["model"] = flags.model;
    put_settings(json, executor.settings());
    put_plan(json, executor);
    put_run_info(json, "info");
    flags.output.finish(json);
    return 0;
  }
  const Graph graph = load_model(flags.model);
  const NodeCost cost = graph_cost(graph);
  if (flags.dot) {
    flags.output.print("{}", print_dot(graph));
  } else if (flags.text) {
    flags.output.print("{}", print(graph));
  } else {
    print_table(graph, flags.output);
    flags.output.print("input       {}\n", values_line(graph, graph.inputs()));
    flags.output.print("output      {}\n", values_line(graph, graph.outputs()));
    flags.output.print("layers      {} in the file, {} in the graph\n", source_layers(graph),
                       graph.order().size());
    flags.output.print("parameters  {}\n", human_count(static_cast<double>(cost.parameters)));
    flags.output.print("MACs        {} nominal, {} effective (taps in the padding not counted)\n",
                       human_count(static_cast<double>(cost.macs)),
                       human_count(static_cast<double>(cost.macs_effective)));
  }
  Json json = info_json(flags.model, graph, cost);
  put_run_info(json, "info");
  flags.output.finish(json);
  return 0;
}

}  // namespace

Action add_info(CLI::App& app) {
  const auto flags = std::make_shared<InfoFlags>();
  app.add_option("MODEL", flags->model, "The model")->required()->type_name("");
  auto* kernels =
      app.add_flag("--kernels", flags->kernels, "The plan instead: each step's kernel, and those refused");
  auto* dot = app.add_flag("--dot", flags->dot, "The graph in Graphviz's language instead");
  auto* text = app.add_flag("--text", flags->text, "The graph in text form instead");
  kernels->excludes(dot)->excludes(text);
  dot->excludes(text);
  flags->output.add_option(app);
  flags->exec.add_options(app);
  flags->exec.add_tuning_option(app);
  return [flags] { return run(*flags); };
}

}  // namespace xdn::cli

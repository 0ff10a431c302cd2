#include "experiment/markdown.h"

#include <fmt/format.h>

namespace xdn::experiment {
namespace {

using Json = nlohmann::ordered_json;

/// A cell must neither end early nor break its line.
std::string cell(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '\\') out += '\\';
    out += c == '\n' || c == '\r' ? ' ' : c;
  }
  return out;
}

std::string line(const Json& cells) {
  std::string out = "|";
  for (const Json& value : cells) out += fmt::format(" {} |", cell(value));
  return out + "\n";
}

std::string table(const Json& json) {
  std::string out = fmt::format("## {}\n\n{}|", json["title"].get<std::string>(), line(json["columns"]));
  for (size_t i = 0; i < json["columns"].size(); ++i) out += "---|";
  out += "\n";
  for (const Json& cells : json["rows"]) out += line(cells);
  return out + "\n";
}

}  // namespace

std::string markdown(const Json& experiment, bool complete) {
  std::string out = fmt::format("# {}\n\n", experiment["title"].get<std::string>());
  for (const Json& note : experiment["notes"]) out += fmt::format("- {}\n", cell(note));
  out += "\n";
  for (const Json& each : experiment["tables"]) out += table(each);
  if (!complete) return out;
  out += "## Environment\n\n";
  for (const auto& [name, value] : experiment["environment"].items())
    out += fmt::format("- {}: {}\n", name, cell(value));
  out += "\n## Commands\n\n```sh\n";
  for (const Json& command : experiment["commands"]) out += command.get<std::string>() + "\n";
  return out + "```\n";
}

}  // namespace xdn::experiment

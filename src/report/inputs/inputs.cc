#include "report/inputs/inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "report/inputs/common.h"

namespace xdn::report {
namespace {

struct InputKind {
  const char* verb;
  std::vector<const char*> keys;
  void (*add)(const Fields&, const std::string&, Document&);
};

const std::vector<InputKind>& input_kinds() {
  static const std::vector<InputKind> kinds = {
#define XDN_REPORT_INPUT(reader, verb, ...) {verb, {__VA_ARGS__}, add_##reader},
#include "report/inputs/inputs.inc"
  };
  return kinds;
}

const InputKind& kind_of(const Fields& json) {
  const auto& kinds = input_kinds();
  const bool told = json.json().contains("verb");
  const std::string verb = told ? json.text("verb") : "";
  const auto fits = [&](const InputKind& kind) {
    // "train --scores" and "prune --plan" say their verb, too, and hold something else.
    if (told) return verb == kind.verb;
    return std::all_of(kind.keys.begin(), kind.keys.end(), [&](const char* key) { return json.has(key); });
  };
  const auto found = std::find_if(kinds.begin(), kinds.end(), fits);
  if (found != kinds.end()) return *found;
  std::string known;
  for (const InputKind& kind : kinds) known += fmt::format("{}{}", known.empty() ? "" : ", ", kind.verb);
  throw input_error(told ? fmt::format("is from 'xdn {}', expected one of: {}", printable(verb), known)
                         : fmt::format("is of no kind that a report shows: {}", known));
}

}  // namespace

void add_source(const Source& source, Document& document) {
  try {
    const Fields json(source.json);
    const InputKind& kind = kind_of(json);
    kind.add(json, source.name, document);
    add_run_info(json, source.name, document);
    document.sources.push_back(source.path);
  } catch (Error& error) {
    throw error.in_file(source.path);
  }
}

}  // namespace xdn::report

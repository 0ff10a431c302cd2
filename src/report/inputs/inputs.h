#pragma once

#include <string>

#include "report/document.h"
#include "report/fields.h"
#include "report/source.h"

namespace xdn::report {

/// Adds what a file tells to the document. Input errors name the file, and the place in it.
void add_source(const Source& source, Document& document);

/// The readers, one per kind of file. `name` is for people; errors name the place only.
#define XDN_REPORT_INPUT(reader, verb, ...) \
  void add_##reader(const Fields& json, const std::string& name, Document& document);
#include "report/inputs/inputs.inc"

}  // namespace xdn::report

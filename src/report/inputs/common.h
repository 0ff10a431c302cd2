#pragma once

#include <string>
#include <vector>

#include "report/document.h"
#include "report/fields.h"

namespace xdn::report {

/// "resnet50" of "models/resnet50.onnx" or "net.prototxt:models/resnet50.caffemodel".
std::string model_name(const std::string& spec);
/// The model of a result, with its precision where the name does not tell: "resnet50 (int8)".
std::string run_name(const Fields& json, const std::string& otherwise);

/// 0.8357 -> "83.57 %"
std::string percent(double share);
/// Three significant digits, in thousands where large: "0.0842", "3.98", "5,824".
std::string short_number(double value);

/// "command" and "environment", which any verb's result may have.
void add_run_info(const Fields& json, const std::string& name, Document& document);
/// isa, precision, data_parallel, ... as a row of the settings table, where there are any.
void add_settings(const Fields& json, const std::string& name, Document& document);
/// An evaluation's part; of one inside another file's list, too. Its point joins the plane of accuracy and
/// throughput where it has both numbers and `with_point`.
void add_eval_part(const Fields& json, const std::string& name, bool with_point, Document& document);
/// The "profile" of a result.
void add_profile(const Fields& profile, const std::string& title, Document& document);
/// A search's part.
void add_tuning_part(const Fields& json, const std::string& name, Document& document);

}  // namespace xdn::report

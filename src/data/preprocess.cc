#include "data/preprocess.h"

#include <cmath>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/decimal.h"
#include "base/error.h"
#include "data/image.h"
#include "data/json_fields.h"

namespace xdn {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kMaxClasses = 100000;
constexpr const char* kSuffix = ".preprocess.json";

float finite_float(double value, const char* field) {
  const auto narrow = static_cast<float>(value);
  if (!std::isfinite(narrow))
    throw input_error("field '" + std::string(field) + "' must be finite as a float");
  return narrow;
}

std::array<float, 3> three(const JsonFields& fields, const char* name) {
  const std::vector<double> values = fields.numbers(name, 3);
  return {finite_float(values[0], name), finite_float(values[1], name), finite_float(values[2], name)};
}

/// Every pixel value must come out finite: a std that is almost 0 is as wrong as 0.
void check_arithmetic(const Preprocess& preprocess) {
  if (preprocess.scale == 0.0f) throw input_error("field 'scale' must not be 0");
  for (size_t c = 0; c < 3; ++c) {
    if (preprocess.std[c] == 0.0f) throw input_error("field 'std' must not hold 0");
    for (const float byte : {0.0f, 255.0f}) {
      const float value = (byte * preprocess.scale - preprocess.mean[c]) / preprocess.std[c];
      if (!std::isfinite(value) || !std::isfinite(preprocess.scale / preprocess.std[c])) {
        throw input_error("fields 'scale', 'mean' and 'std' map pixels beyond the range of a float");
      }
    }
  }
}

}  // namespace

Preprocess raw_bgr_pixels(Preprocess preprocess) {
  preprocess.bgr = true;
  preprocess.scale = 1;
  preprocess.mean = {0, 0, 0};
  preprocess.std = {1, 1, 1};
  return preprocess;
}

Preprocess read_preprocess(const std::string& path) {
  try {
    const JsonFields fields(read_file(path, kMaxFileBytes));
    Preprocess out;
    if (fields.has("input")) out.input = fields.string("input");
    if (fields.has("color")) {
      const std::string color = fields.string("color");
      if (color != "RGB" && color != "BGR") {
        throw input_error("field 'color' must be RGB or BGR, is '" + printable(color) + "'");
      }
      out.bgr = color == "BGR";
    }
    if (fields.has("scale")) out.scale = finite_float(fields.number("scale"), "scale");
    if (fields.has("mean")) out.mean = three(fields, "mean");
    if (fields.has("std")) out.std = three(fields, "std");
    check_arithmetic(out);
    if (fields.has("size")) {
      const std::vector<int64_t> size = fields.integers("size", 2, 1, kMaxImageSide);
      out.height = size[0];
      out.width = size[1];
    }
    if (fields.has("resize")) out.resize = fields.integer("resize", 0, kMaxImageSide);
    if (fields.has("crop")) out.crop = fields.integer("crop", 0, kMaxImageSide);
    check_geometry({out.resize, out.crop, out.height, out.width});
    if (fields.has("classes")) out.classes = fields.strings("classes", kMaxClasses);
    return out;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

void write_preprocess(const Preprocess& preprocess, const std::string& path) {
  const auto numbers = [](const std::array<float, 3>& values) {
    return std::vector<double>{shortest_decimal(values[0]), shortest_decimal(values[1]),
                               shortest_decimal(values[2])};
  };
  nlohmann::ordered_json out;
  if (!preprocess.input.empty()) out["input"] = preprocess.input;
  out["color"] = preprocess.bgr ? "BGR" : "RGB";
  out["scale"] = shortest_decimal(preprocess.scale);
  out["mean"] = numbers(preprocess.mean);
  out["std"] = numbers(preprocess.std);
  if (preprocess.height != 0) out["size"] = {preprocess.height, preprocess.width};
  if (preprocess.resize != 0) out["resize"] = preprocess.resize;
  if (preprocess.crop != 0) out["crop"] = preprocess.crop;
  if (!preprocess.classes.empty()) out["classes"] = preprocess.classes;
  // Names that are no UTF-8 (an ONNX file may hold such) are written with replacement characters.
  const std::string text = out.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  AtomicFile file(path);
  file.write(text + "\n");
  file.commit();
}

std::optional<Preprocess> find_preprocess(const std::string& model_stem) {
  const std::string path = model_stem + kSuffix;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return read_preprocess(path);
}

}  // namespace xdn

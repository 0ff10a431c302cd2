#include "formats/model_io.h"

#include <optional>
#include <string_view>

#include "base/error.h"

namespace xdn {
namespace {

constexpr std::string_view kOnnx = ".onnx";
constexpr std::string_view kPrototxt = ".prototxt";

struct CaffeSpec {
  std::string prototxt, caffemodel;
};

/// "net.prototxt:weights.caffemodel" taken apart; nothing for any other form.
std::optional<CaffeSpec> parse_caffe_spec(const std::string& spec) {
  const size_t at = spec.find(std::string(kPrototxt) + ":");
  if (at == std::string::npos) return std::nullopt;
  const size_t colon = at + kPrototxt.size();
  return CaffeSpec{spec.substr(0, colon), spec.substr(colon + 1)};
}

Error unknown_form(const std::string& spec) {
  return input_error("is not a model: expected model.onnx or net.prototxt:weights.caffemodel").in_file(spec);
}

}  // namespace

Graph load_model(const std::string& spec, const ImportOptions& options) {
  const std::vector<std::string> files = model_files(spec);
  return files.size() == 2 ? import_caffe(files[0], files[1]) : import_onnx(spec, options);
}

void save_model(const Graph& graph, const std::string& spec, const ExportOptions& options) {
  const std::vector<std::string> files = model_files(spec);
  if (files.size() == 2) {
    export_caffe(graph, files[0], files[1]);
  } else {
    export_onnx(graph, spec, options);
  }
}

std::vector<std::string> model_files(const std::string& spec) {
  if (const auto caffe = parse_caffe_spec(spec)) {
    if (caffe->caffemodel.empty()) {
      throw input_error("expected the weights after the colon: net.prototxt:weights.caffemodel")
          .in_file(spec);
    }
    return {caffe->prototxt, caffe->caffemodel};
  }
  if (spec.ends_with(kOnnx)) return {spec};
  throw unknown_form(spec);
}

std::string model_stem(const std::string& spec) {
  if (const auto caffe = parse_caffe_spec(spec)) {
    return caffe->prototxt.substr(0, caffe->prototxt.size() - kPrototxt.size());
  }
  if (spec.ends_with(kOnnx)) return spec.substr(0, spec.size() - kOnnx.size());
  throw unknown_form(spec);
}

}  // namespace xdn

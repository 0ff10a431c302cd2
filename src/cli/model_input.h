#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/image_model.h"
#include "cli/exec_options.h"
#include "data/preprocess.h"
#include "executor/executor.h"
#include "graph/graph.h"

namespace xdn::cli {

/// Preprocessing from the command line; it takes precedence over MODEL.preprocess.json.
struct PixelFlags {
  std::vector<float> mean, std;
  std::optional<float> scale;
  std::string color, size;
  int64_t resize = 0, crop = 0;

  void add_options(CLI::App& app);
};

/// --size H[xW].
void add_size_option(CLI::App& app, std::string& size);
/// --resize N, --crop N.
void add_resize_options(CLI::App& app, int64_t& resize, int64_t& crop);
struct Size {
  int64_t height = 0, width = 0;
};
/// "32" or "32x48"; the text has passed the option's check.
Size parse_size(const std::string& text);

/// A model ready to be planned.
struct ModelInput : ImageModel {
  double load_seconds = 0;
};

/// Loads MODEL and what says how its images are made. Where the flags give a size, the graph is inferred
/// again for it. Throws an input error naming the model unless it has one image input.
ModelInput load_model_input(const std::string& spec, const PixelFlags& flags);

/// Where nobody said how images become the input, says so: the model hardly was trained on bytes.
void warn_of_raw_pixels(const ModelInput& model);

/// Plans the model, by its tuning record where the flags let it; errors name it. int8 for a model without
/// quantized layers is refused.
Executor make_executor(ModelInput& model, const ExecFlags& flags, bool images_are_bgr, int64_t batch_hint);

/// The part of a MODEL that names its graph: "net.prototxt" of "net.prototxt:weights.caffemodel".
std::string model_file(const std::string& spec);
/// All files of a MODEL.
std::vector<std::string> model_files(const std::string& spec);

}  // namespace xdn::cli

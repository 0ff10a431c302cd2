#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace xdn {

/// From decoded RGB bytes to a model's input: resize, crop, channel order, (byte * scale - mean[c]) / std[c],
/// where mean and std are in the model's channel order. Stands beside a model as STEM.preprocess.json.
struct Preprocess {
  std::string input;  ///< name of the model's input; empty: the only one
  bool bgr = false;   ///< the model's channel order
  float scale = 1;
  std::array<float, 3> mean{0, 0, 0};
  std::array<float, 3> std{1, 1, 1};
  int64_t height = 0, width = 0;  ///< what the model takes; 0: as the model's input says
  int64_t resize = 0;             ///< shorter side before the crop; 0: straight to height x width
  int64_t crop = 0;               ///< side of the centre crop; 0: none
  std::vector<std::string> classes;
};

/// The same images for a model whose first layer normalises them itself: bytes as they are, in BGR.
Preprocess raw_bgr_pixels(Preprocess preprocess);

/// Reads and checks a preprocess file; an input error names the field. Unknown fields are ignored.
Preprocess read_preprocess(const std::string& path);
void write_preprocess(const Preprocess& preprocess, const std::string& path);
/// STEM.preprocess.json if it exists.
std::optional<Preprocess> find_preprocess(const std::string& model_stem);

}  // namespace xdn

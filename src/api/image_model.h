#pragma once

#include <cstdint>
#include <string>

#include "data/image.h"
#include "data/preprocess.h"
#include "executor/executor.h"
#include "graph/graph.h"

namespace xdn {

/// A model that takes images of channels x height x width, made as preprocess says.
struct ImageModel {
  std::string spec;
  Graph graph;
  Preprocess preprocess;  ///< height and width are those of the graph's input
  int64_t channels = 0;
  bool raw_pixels = false;  ///< nobody said how images become the input

  /// Bytes of one image, NHWC.
  int64_t image_bytes() const { return channels * preprocess.height * preprocess.width; }
  /// How images whose channels lie in BGR order, or RGB, become the model's input. Preprocessing speaks of
  /// three channels; a model of another depth takes its bytes as they are.
  PixelMap pixel_map(bool images_are_bgr) const;
};

/// Puts graph and preprocessing together. Where height and width are not 0, the graph is inferred again for
/// images of that size. Throws an input error naming the model's file unless it has one image input, of the
/// size that the preprocessing makes.
ImageModel make_image_model(const std::string& spec, Graph graph, Preprocess preprocess, int64_t height = 0,
                            int64_t width = 0);

/// Floats of the first output per image. Input error where it does not have the batch as its first extent.
int64_t output_size(const Graph& graph);

/// Writes the graph and, where the model has one, its preprocess file beside it.
void save_image_model(const ImageModel& model, const std::string& spec);

/// The image's bytes as the model takes them: RGB, height x width. Input error where it takes other than 3
/// channels, or the image does not become that size.
Image fit_to_model(Image image, const ImageModel& model);

}  // namespace xdn

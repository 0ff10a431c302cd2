#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "support/guarded.h"
#include "training/architectures.h"
#include "training/trainer.h"

namespace xdn::testing {

/// 8 x 8 images of noise in which one channel, the label, is a little brighter.
struct Colors {
  std::vector<uint8_t> pixels;
  std::vector<int64_t> labels;
  Colors(int64_t n, uint64_t seed) {
    Uniform random(seed);
    for (int64_t i = 0; i < n; ++i) {
      labels.push_back(i % 3);
      for (int64_t j = 0; j < 8 * 8 * 3; ++j) {
        pixels.push_back(static_cast<uint8_t>(random.between(0, 200) + (j % 3 == i % 3 ? 30 : 0)));
      }
    }
  }
  training::ImageSet set() const { return {pixels.data(), labels, 8, 8}; }
};

inline Preprocess some_preprocess() {
  Preprocess p;
  p.scale = 1.0f / 255;
  p.mean = {0.4f, 0.4f, 0.4f};
  p.std = {0.25f, 0.25f, 0.25f};
  return p;
}

inline Graph tiny_net() {
  return training::build_architecture("resnet20", {.classes = 3, .size = 8, .seed = 1});
}

inline training::TrainOptions tiny_options(const std::string& folder) {
  training::TrainOptions options;
  options.epochs = 4;
  options.batch = 16;
  options.rate = 0.05;
  options.warmup = 0.5;
  options.label_smoothing = 0.05;
  options.augmentation = {.crop = 1, .flip = true, .cutout = 2};
  options.ema = 0.9;
  options.threads = 1;
  options.run_folder = folder;
  return options;
}

inline std::string weights_of(const Graph& graph) { return print(graph); }

inline std::vector<nlohmann::json> log_of(const std::string& folder) {
  std::vector<nlohmann::json> lines;
  std::istringstream text(read_file(folder + "/log.jsonl"));
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::string error_of(const std::function<void()>& work, ErrorKind kind = ErrorKind::kInput) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.message();
  }
  return "no error";
}

struct Stopped {};

}  // namespace xdn::testing

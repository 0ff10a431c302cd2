#include "peers/opencv_decode.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <fstream>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/tensor.h"

namespace xdn::bench {
namespace {

using nlohmann::json;

/// x[c] = rgb[source_channel[c]] * scale[c] + shift[c], planes of c.
struct Pixels {
  std::vector<float> scale, shift;
  std::vector<int> source_channel;
  int height = 0, width = 0;

  explicit Pixels(const json& request) {
    const Dims dims = request.at("dims");
    const json& pixels = request.at("pixels");
    scale = pixels.at("scale").get<std::vector<float>>();
    shift = pixels.at("shift").get<std::vector<float>>();
    source_channel = pixels.at("source_channel").get<std::vector<int>>();
    if (dims.size() != 3 || dims[0] != 3 || scale.size() != 3 || shift.size() != 3 ||
        source_channel.size() != 3)
      throw input_error("decodes images of three channels only");
    for (const int c : source_channel) {
      if (c < 0 || c > 2) throw input_error("pixels: source_channel is not in 0 ... 2");
    }
    constexpr int64_t kMostSide = 4096;
    if (std::min(dims[1], dims[2]) < 1 || std::max(dims[1], dims[2]) > kMostSide)
      throw input_error("decodes images of 1 to 4096 pixels a side only");
    height = static_cast<int>(dims[1]), width = static_cast<int>(dims[2]);
  }

  size_t image_size() const { return size_t{3} * static_cast<size_t>(height) * static_cast<size_t>(width); }

  void read(const std::string& path, float* dst) const {
    const cv::Mat image = cv::imread(path, cv::IMREAD_COLOR);
    if (image.empty()) throw input_error("OpenCV cannot decode it").in_file(path);
    if (image.rows != height || image.cols != width) {
      throw input_error("is " + std::to_string(image.rows) + "x" + std::to_string(image.cols) +
                        ", expected " + std::to_string(height) + "x" + std::to_string(width))
          .in_file(path);
    }
    for (size_t c = 0; c < 3; ++c) {
      const int bgr = 2 - source_channel[c];
      for (int y = 0; y < height; ++y) {
        const uint8_t* row = image.ptr<uint8_t>(y) + bgr;
        for (int x = 0; x < width; ++x) *dst++ = static_cast<float>(row[3 * x]) * scale[c] + shift[c];
      }
    }
  }
};

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw input_error("cannot read").in_file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  if (lines.empty()) throw input_error("names no images").in_file(path);
  return lines;
}

void decode_all(const Pixels& pixels, const std::vector<std::string>& files, int threads, float* dst) {
  constexpr size_t kBlock = 16;
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (size_t first = next.fetch_add(kBlock); first < files.size(); first = next.fetch_add(kBlock)) {
        for (size_t i = first; i < std::min(first + kBlock, files.size()); ++i)
          pixels.read(files[i], dst + i * pixels.image_size());
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = files.size();
    }
  };
  {
    std::vector<std::jthread> others;
    for (int i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

json decode_with_opencv(const json& request) {
  const int threads = request.at("threads");
  if (threads < 1 || threads > 1024) throw input_error("threads are not in 1 ... 1024");
  const Pixels pixels(request);
  const std::vector<std::string> files = lines_of(request.at("list"));
  const Dims all{static_cast<int64_t>(files.size()), static_cast<int64_t>(pixels.image_size())};
  std::vector<float> floats(static_cast<size_t>(element_count(all, sizeof(float))));

  const auto start = std::chrono::steady_clock::now();
  decode_all(pixels, files, threads, floats.data());
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  const std::string path = request.at("file");
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(floats.data()),
            static_cast<std::streamsize>(floats.size() * sizeof(float)));
  if (!out.flush()) throw failure("cannot write").in_file(path);
  return {{"images", files.size()},
          {"seconds", seconds},
          {"about", "OpenCV " CV_VERSION ", " + std::to_string(threads) + " threads"}};
}

}  // namespace xdn::bench

// OpenCV's dnn module, and its image decoders, as a worker; see protocol.mjs. Takes float32 n c h w.

#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include "base/error.h"
#include "peers/opencv_decode.h"
#include "peers/worker.h"

namespace {

using nlohmann::json;

class OpenCvEngine : public xdn::bench::Engine {
 public:
  json load(const json& request) override {
    const std::string model = request.at("model");
    const int threads = request.at("threads");
    cv::setNumThreads(threads);
    if (const size_t colon = model.find(".prototxt:"); colon != std::string::npos) {
      const size_t split = colon + std::string(".prototxt").size();
      net_ = cv::dnn::readNetFromCaffe(model.substr(0, split), model.substr(split + 1));
    } else {
      net_ = cv::dnn::readNetFromONNX(model);
    }
    net_.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net_.setPreferableTarget(cv::dnn::DNN_TARGET_CPU);
    return {{"fixed_batch", 0}, {"about", "OpenCV " CV_VERSION ", " + std::to_string(threads) + " threads"}};
  }

  void run(const xdn::bench::WorkerData& data, int64_t first, int64_t count,
           std::vector<float>& out) override {
    if (data.bytes) throw xdn::input_error("takes float32");
    const int dims[] = {static_cast<int>(count), static_cast<int>(data.channels),
                        static_cast<int>(data.height), static_cast<int>(data.width)};
    net_.setInput(cv::Mat(4, dims, CV_32F, const_cast<float*>(data.f32(first))));
    const cv::Mat result = net_.forward();
    if (result.type() != CV_32F || !result.isContinuous()) throw xdn::failure("unexpected output");
    out.assign(result.ptr<float>(), result.ptr<float>() + result.total());
  }

  json decode(const json& request) override { return xdn::bench::decode_with_opencv(request); }

 private:
  cv::dnn::Net net_;
};

}  // namespace

int main() {
  OpenCvEngine engine;
  return xdn::bench::serve(engine);
}

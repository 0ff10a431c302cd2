/// XDN: trained residual networks, fast on CPUs. The C++ API, a thin wrapper of xdn.h: the library exports C
/// functions only, so that a program may be built by another compiler, or another C++ standard (17 or later),
/// than the library.
///
///   xdn::Model model = xdn::Model::load("resnet50.onnx");
///   xdn::Session session(model);
///   for (const xdn::Answer& answer : session.classify("cat.jpg", 5)) ...
///
/// docs/api.md has shapes, units and examples.
#pragma once

#include <xdn/xdn.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace xdn {
inline namespace api {

enum class ErrorCode { kFailure = XDN_FAILURE, kBadInput = XDN_BAD_INPUT, kBadArgument = XDN_BAD_ARGUMENT };

/// What every call throws. what() is one line: "FILE: layer 'NAME': MESSAGE".
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ErrorCode code() const { return code_; }

 private:
  ErrorCode code_;
};

enum class Fusion {
  kDefault = XDN_FUSION_DEFAULT,
  kOff = XDN_FUSION_OFF,
  kTraditional = XDN_FUSION_TRADITIONAL,
  kAggressive = XDN_FUSION_AGGRESSIVE
};
enum class Precision {
  kDefault = XDN_PRECISION_DEFAULT,
  kFp32 = XDN_PRECISION_FP32,
  kBf16 = XDN_PRECISION_BF16,
  kInt8 = XDN_PRECISION_INT8
};
enum class Input { kU8 = XDN_INPUT_U8, kF32 = XDN_INPUT_F32 };
/// Element (y, x, c) of an image: NHWC at (y * width + x) * channels + c, NCHW at (c * height + y) * width +
/// x.
enum class Layout { kNHWC = XDN_NHWC, kNCHW = XDN_NCHW };

namespace detail {

inline void check(xdn_status status) {
  if (status != XDN_OK) throw Error(static_cast<ErrorCode>(status), xdn_last_error());
}

template <class T>
T sized() {
  T value{};
  value.size = sizeof(T);
  return value;
}

template <class T>
const T* data_of(const std::vector<T>& values) {
  static const T none{};  // an empty vector's data() may be null
  return values.empty() ? &none : values.data();
}

inline std::int64_t size_of(std::size_t size) { return static_cast<std::int64_t>(size); }

}  // namespace detail

inline std::string version() { return xdn_version(); }

/// How bytes become the model's input, channel by channel in the model's order: (byte * scale - mean[c]) /
/// std[c]. See xdn_preprocess.
struct Preprocess : xdn_preprocess {
  Preprocess() : xdn_preprocess(detail::sized<xdn_preprocess>()) {}
};

struct LoadOptions {
  std::int64_t height = 0, width = 0;      ///< run the model on images of another size; both or none
  const Preprocess* preprocess = nullptr;  ///< in place of MODEL.preprocess.json
};

struct ModelInfo {
  std::int64_t channels = 0, height = 0, width = 0;  ///< of an image
  std::int64_t outputs = 0;                          ///< floats per image
  std::int64_t parameters = 0, macs = 0;             ///< multiply-accumulates per image
  bool quantized = false;                            ///< whether layers are in 8 bits
  std::string input_name;

  std::size_t image_size() const { return static_cast<std::size_t>(channels * height * width); }
};

struct SessionOptions {
  int threads = 0;  ///< in all; 0: what affinity and cgroup grant
  int data_parallel = 0, model_parallel = 0, batch_tile = 0;
  std::int64_t batch =
      0;  ///< images a run will usually hold; 1: all threads share an image's layers; 0: many
  Input input = Input::kU8;
  Precision precision = Precision::kDefault;
  Fusion fusion = Fusion::kDefault;
  std::string isa;  ///< "ref", "avx2", "avx512", "avx512vnni", "avx512bf16"; empty: the best there is
};

struct SessionSettings {
  int data_parallel = 0, model_parallel = 0, batch_tile = 0;
  Input input = Input::kU8;
  std::string isa, precision;
  std::int64_t image_size = 0, outputs = 0, arena_bytes = 0;
};

using Answer = xdn_answer;

struct LayerProfile {
  std::string layer, kernel, arith;
  double seconds = 0;  ///< since the profile was started, mean over the threads
  std::int64_t macs = 0, weight_bytes = 0, activation_bytes = 0;
};

/// A network file and how its images are made. Immutable and cheap to copy; any number of threads may use
/// one.
class Model {
 public:
  /// "model.onnx" or "net.prototxt:weights.caffemodel".
  static Model load(const std::string& spec, const LoadOptions& options = {}) {
    auto c = detail::sized<xdn_load_options>();
    c.height = options.height;
    c.width = options.width;
    c.preprocess = options.preprocess;
    xdn_model* model = nullptr;
    detail::check(xdn_model_load(spec.c_str(), &c, &model));
    return Model(model);
  }

  ModelInfo info() const {
    const xdn_model_info c = c_info();
    ModelInfo info;
    info.channels = c.channels;
    info.height = c.height;
    info.width = c.width;
    info.outputs = c.outputs;
    info.parameters = c.parameters;
    info.macs = c.macs;
    info.quantized = c.quantized != 0;
    info.input_name = c.input_name;
    return info;
  }
  Preprocess preprocess() const {
    Preprocess preprocess;
    detail::check(xdn_model_get_preprocess(get(), &preprocess));
    return preprocess;
  }
  /// The classes' names; empty where the model has none.
  std::vector<std::string> class_names() const {
    std::vector<std::string> names;
    const std::int64_t count = c_info().class_names;
    for (std::int64_t i = 0; i < count; ++i) names.emplace_back(xdn_model_class_name(get(), i));
    return names;
  }
  /// A class's name, or "class 7" where it has none.
  std::string class_name(std::int64_t label) const {
    const char* name = xdn_model_class_name(get(), label);
    return name != nullptr ? name : "class " + std::to_string(label);
  }

  /// The same network with fewer operators. Sessions fuse by themselves; this is for saving what came out.
  Model optimized(Fusion fusion = Fusion::kTraditional) const {
    xdn_model* model = nullptr;
    detail::check(xdn_model_optimize(get(), static_cast<int32_t>(fusion), &model));
    return Model(model);
  }
  /// Writes "out.onnx" or "out.prototxt:out.caffemodel", and the preprocess file beside it.
  void save(const std::string& spec) const { detail::check(xdn_model_save(get(), spec.c_str())); }

  /// A JPEG or PNG file as the bytes the model takes: NHWC, RGB.
  std::vector<std::uint8_t> load_image(const std::string& path) const {
    std::vector<std::uint8_t> pixels(info().image_size());
    detail::check(xdn_model_load_image(get(), path.c_str(), pixels.data(), pixels.size()));
    return pixels;
  }
  /// The same for a file in memory.
  std::vector<std::uint8_t> decode_image(const void* file, std::size_t bytes) const {
    std::vector<std::uint8_t> pixels(info().image_size());
    detail::check(xdn_model_decode_image(get(), file, bytes, pixels.data(), pixels.size()));
    return pixels;
  }

  const xdn_model* get() const { return model_.get(); }

 private:
  explicit Model(xdn_model* model) : model_(model, xdn_model_free) {}
  xdn_model_info c_info() const {
    auto info = detail::sized<xdn_model_info>();
    detail::check(xdn_model_get_info(get(), &info));
    return info;
  }

  std::shared_ptr<xdn_model> model_;
};

/// The k best of n logits, best first, the lower label among equals; none where a logit is NaN.
inline std::vector<Answer> top_k(const float* logits, std::int64_t n, std::int64_t k) {
  std::vector<Answer> answers(static_cast<std::size_t>(k < 0 || n < 0 ? 0 : k < n ? k : n) + 1);
  std::int64_t count = 0;
  detail::check(xdn_top_k(logits, n, k, answers.data(), &count));
  answers.resize(static_cast<std::size_t>(count));
  return answers;
}
inline std::vector<Answer> top_k(const std::vector<float>& logits, std::int64_t k) {
  return top_k(detail::data_of(logits), detail::size_of(logits.size()), k);
}

/// A model planned for this machine. Any number of threads may call one; they take turns. It keeps what it
/// needs of the model. Movable; a session that was moved from may only be destroyed or assigned to.
class Session {
 public:
  explicit Session(const Model& model, const SessionOptions& options = {}) {
    auto c = detail::sized<xdn_session_options>();
    c.threads = options.threads;
    c.data_parallel = options.data_parallel;
    c.model_parallel = options.model_parallel;
    c.batch_tile = options.batch_tile;
    c.batch = options.batch;
    c.input = static_cast<std::int32_t>(options.input);
    c.precision = static_cast<std::int32_t>(options.precision);
    c.fusion = static_cast<std::int32_t>(options.fusion);
    c.isa = options.isa.c_str();
    xdn_session* session = nullptr;
    detail::check(xdn_session_create(model.get(), &c, &session));
    session_.reset(session);
    outputs_ = settings().outputs;
    image_size_ = settings().image_size;
  }

  SessionSettings settings() const {
    auto c = detail::sized<xdn_session_settings>();
    detail::check(xdn_session_get_settings(get(), &c));
    SessionSettings settings;
    settings.data_parallel = c.data_parallel;
    settings.model_parallel = c.model_parallel;
    settings.batch_tile = c.batch_tile;
    settings.input = static_cast<Input>(c.input);
    settings.isa = c.isa;
    settings.precision = c.precision;
    settings.image_size = c.image_size;
    settings.outputs = c.outputs;
    settings.arena_bytes = c.arena_bytes;
    return settings;
  }

  /// n images from the caller's memory, n x outputs floats into the caller's memory. Bytes are raw and RGB,
  /// and are normalised inside; a session of Input::kF32 takes the model's own normalised floats instead.
  void run(const std::uint8_t* images, std::int64_t n, float* logits, Layout layout = Layout::kNHWC) {
    detail::check(xdn_session_run_u8(get(), images, n, static_cast<int32_t>(layout), logits, room_for(n)));
  }
  void run(const float* images, std::int64_t n, float* logits, Layout layout = Layout::kNCHW) {
    detail::check(xdn_session_run_f32(get(), images, n, static_cast<int32_t>(layout), logits, room_for(n)));
  }
  /// Whole images one after the other; their number follows.
  std::vector<float> run(const std::vector<std::uint8_t>& images, Layout layout = Layout::kNHWC) {
    return run_all(images, layout);
  }
  std::vector<float> run(const std::vector<float>& images, Layout layout = Layout::kNCHW) {
    return run_all(images, layout);
  }

  /// The k best classes of an image file.
  std::vector<Answer> classify(const std::string& image, std::int64_t k = 5) {
    const std::int64_t most = k < 0 ? 0 : k < outputs_ ? k : outputs_;
    std::vector<Answer> answers(static_cast<std::size_t>(most) + 1);
    std::int64_t count = 0;
    detail::check(xdn_session_classify(get(), image.c_str(), k, answers.data(), &count));
    answers.resize(static_cast<std::size_t>(count));
    return answers;
  }

  /// From now on, layers are timed, from 0.
  void start_profile() { detail::check(xdn_session_start_profile(get())); }
  /// What has been measured so far, in the order of execution.
  std::vector<LayerProfile> profile() {
    xdn_profile* c = nullptr;
    detail::check(xdn_session_get_profile(get(), &c));
    const std::unique_ptr<xdn_profile, Delete> owner(c);
    std::vector<LayerProfile> layers;
    for (std::int64_t i = 0; i < xdn_profile_layers(c); ++i) {
      auto row = detail::sized<xdn_layer_profile>();
      detail::check(xdn_profile_get_layer(c, i, &row));
      LayerProfile layer;
      layer.layer = row.layer;
      layer.kernel = row.kernel;
      layer.arith = row.arith;
      layer.seconds = row.seconds;
      layer.macs = row.macs;
      layer.weight_bytes = row.weight_bytes;
      layer.activation_bytes = row.activation_bytes;
      layers.push_back(layer);
    }
    return layers;
  }

  xdn_session* get() const { return session_.get(); }

 private:
  struct Delete {
    void operator()(xdn_session* session) const { xdn_session_free(session); }
    void operator()(xdn_profile* profile) const { xdn_profile_free(profile); }
  };

  /// A pointer has no size: the caller answers for n x outputs floats behind it.
  std::int64_t room_for(std::int64_t n) const {
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    return n <= 0 ? 0 : n > most / outputs_ ? most : n * outputs_;
  }

  template <class T>
  std::vector<float> run_all(const std::vector<T>& images, Layout layout) {
    const std::int64_t size = detail::size_of(images.size());
    if (size % image_size_ != 0) {
      throw Error(ErrorCode::kBadArgument, std::to_string(size) + " elements are no whole images of " +
                                               std::to_string(image_size_) + " each");
    }
    const std::int64_t n = size / image_size_;
    std::vector<float> logits(static_cast<std::size_t>(n * outputs_) + 1);
    run(detail::data_of(images), n, logits.data(), layout);
    logits.pop_back();
    return logits;
  }

  std::unique_ptr<xdn_session, Delete> session_;
  std::int64_t outputs_ = 0, image_size_ = 0;
};

}  // namespace api
}  // namespace xdn

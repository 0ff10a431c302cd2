#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "api/c_support.h"
#include "api/session.h"
#include "data/image.h"
#include "evaluator/accuracy.h"

using namespace xdn;

struct xdn_session {
  Session session;
};

struct xdn_profile {
  std::vector<StepReport> steps;
};

namespace {

constexpr int64_t kMostThreads = 1024, kMostTile = 4096, kMostBatch = 1'000'000'000;

/// What the caller fixes. This is the one place where defaults of another origin, such as what was measured
/// on this machine, can fill in what he left open.
ExecOptions exec_options(const xdn_session_options& c) {
  check_range(c.input, XDN_INPUT_U8, XDN_INPUT_F32, "options.input");
  check_range(c.precision, XDN_PRECISION_DEFAULT, XDN_PRECISION_INT8, "options.precision");
  check_range(c.fusion, XDN_FUSION_DEFAULT, XDN_FUSION_AGGRESSIVE, "options.fusion");
  check_range(c.threads, 0, kMostThreads, "options.threads");
  check_range(c.data_parallel, 0, kMostThreads, "options.data_parallel");
  check_range(c.model_parallel, 0, kMostThreads, "options.model_parallel");
  check_range(c.batch_tile, 0, kMostTile, "options.batch_tile");
  check_range(c.batch, 0, kMostBatch, "options.batch");
  ExecOptions options;
  constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kBf16, Precision::kInt8};
  if (c.precision != XDN_PRECISION_DEFAULT) options.precision = kPrecisions[c.precision - 1];
  constexpr FusionLevel kLevels[] = {FusionLevel::kTraditional, FusionLevel::kOff, FusionLevel::kTraditional,
                                     FusionLevel::kAggressive};
  options.fusion = kLevels[c.fusion];
  options.threads = c.threads;
  options.data_parallel = c.data_parallel;
  options.model_parallel = c.model_parallel;
  options.batch_tile = c.batch_tile;
  options.batch_hint = c.batch;
  if (c.isa != nullptr && *c.isa != '\0') {
    options.isa = parse_isa(c.isa);
    if (!options.isa) throw bad_argument("options.isa is no instruction set: '" + printable(c.isa) + "'");
  }
  return options;
}

/// Whether there is anything to run.
bool check_run(const xdn_session* session, bool floats, const void* images, int64_t n, int32_t layout,
               const float* logits, int64_t size) {
  check_pointer(session, "session");
  check_pointer(images, "images");
  check_pointer(logits, "logits");
  check_range(layout, XDN_NHWC, XDN_NCHW, "layout");
  const Session& s = session->session;
  if (s.takes_floats() != floats) {
    throw bad_argument(s.takes_floats() ? "the session takes floats: it was made for XDN_INPUT_F32"
                                        : "the session takes bytes: make it with XDN_INPUT_F32 for floats");
  }
  const int64_t widest = std::max(s.image_size(), s.executor().output_size());
  check_range(n, 0, std::numeric_limits<int64_t>::max() / int64_t{sizeof(float)} / widest, "n");
  if (size < n * s.executor().output_size()) {
    throw bad_argument(fmt::format("logits has room for {} floats, {} images of {} take {}", size, n,
                                   s.executor().output_size(), n * s.executor().output_size()));
  }
  return n > 0;
}

int64_t best_of(std::span<const float> logits, int64_t k, xdn_answer* answers) {
  const std::vector<double> probabilities = softmax(logits);
  int64_t count = 0;
  for (const int64_t label : top_k(logits, k)) {
    const auto i = static_cast<size_t>(label);
    answers[count++] = {label, probabilities[i], logits[i]};
  }
  return count;
}

}  // namespace

xdn_status xdn_session_create(const xdn_model* model, const xdn_session_options* options,
                              xdn_session** session) {
  return guarded([&] {
    check_pointer(model, "model");
    check_pointer(session, "session");
    const xdn_session_options c =
        options == nullptr ? xdn_session_options{} : read_struct(options, "options");
    ExecOptions exec = exec_options(c);
    *session = new xdn_session{{model->model, std::move(exec), c.input == XDN_INPUT_F32}};
  });
}

void xdn_session_free(xdn_session* session) { delete session; }

xdn_status xdn_session_get_settings(const xdn_session* session, xdn_session_settings* settings) {
  return guarded([&] {
    check_pointer(session, "session");
    check_size(settings, "settings");
    const Executor& executor = session->session.executor();
    const ExecSettings& chosen = executor.settings();
    xdn_session_settings value{};
    value.data_parallel = chosen.data_parallel;
    value.model_parallel = chosen.model_parallel;
    value.batch_tile = chosen.batch_tile;
    value.input = session->session.takes_floats() ? XDN_INPUT_F32 : XDN_INPUT_U8;
    value.isa = isa_name(chosen.isa);
    value.precision = chosen_precision_name(chosen);
    value.image_size = session->session.image_size();
    value.outputs = executor.output_size();
    value.arena_bytes = executor.arena_bytes();
    write_struct(value, settings);
  });
}

xdn_status xdn_session_run_u8(xdn_session* session, const uint8_t* images, int64_t n, int32_t layout,
                              float* logits, int64_t size) {
  return guarded([&] {
    if (!check_run(session, false, images, n, layout, logits, size)) return;
    session->session.run_u8(images, n, layout == XDN_NCHW, logits);
  });
}

xdn_status xdn_session_run_f32(xdn_session* session, const float* images, int64_t n, int32_t layout,
                               float* logits, int64_t size) {
  return guarded([&] {
    if (!check_run(session, true, images, n, layout, logits, size)) return;
    session->session.run_f32(images, n, layout == XDN_NCHW, logits);
  });
}

xdn_status xdn_top_k(const float* logits, int64_t n, int64_t k, xdn_answer* answers, int64_t* count) {
  return guarded([&] {
    check_pointer(logits, "logits");
    check_pointer(answers, "answers");
    check_pointer(count, "count");
    check_range(n, 0, std::numeric_limits<int32_t>::max(), "n");
    check_range(k, 0, std::numeric_limits<int64_t>::max(), "k");
    *count = best_of({logits, static_cast<size_t>(n)}, k, answers);
  });
}

xdn_status xdn_session_classify(xdn_session* session, const char* image, int64_t k, xdn_answer* answers,
                                int64_t* count) {
  return guarded([&] {
    check_pointer(session, "session");
    check_pointer(image, "image");
    check_pointer(answers, "answers");
    check_pointer(count, "count");
    check_range(k, 0, std::numeric_limits<int64_t>::max(), "k");
    Session& s = session->session;
    if (s.takes_floats()) throw bad_argument("the session takes floats, an image file is bytes");
    std::vector<float> logits(static_cast<size_t>(s.executor().output_size()));
    try {
      const Image fitted = fit_to_model(decode_image(std::string(image)), s.model());
      s.run_u8(fitted.rgb.data(), 1, false, logits.data());
    } catch (Error& error) {
      throw error.in_file(image);
    }
    *count = best_of(logits, k, answers);
  });
}

xdn_status xdn_session_start_profile(xdn_session* session) {
  return guarded([&] {
    check_pointer(session, "session");
    session->session.start_profile();
  });
}

xdn_status xdn_session_get_profile(xdn_session* session, xdn_profile** profile) {
  return guarded([&] {
    check_pointer(session, "session");
    check_pointer(profile, "profile");
    auto made = std::make_unique<xdn_profile>();
    made->steps = session->session.steps();
    *profile = made.release();
  });
}

int64_t xdn_profile_layers(const xdn_profile* profile) {
  return profile == nullptr ? 0 : static_cast<int64_t>(profile->steps.size());
}

xdn_status xdn_profile_get_layer(const xdn_profile* profile, int64_t layer, xdn_layer_profile* row) {
  return guarded([&] {
    check_pointer(profile, "profile");
    check_size(row, "row");
    check_range(layer, 0, xdn_profile_layers(profile) - 1, "layer");
    const StepReport& step = profile->steps[static_cast<size_t>(layer)];
    xdn_layer_profile value{};
    value.layer = step.layer.c_str();
    value.kernel = step.kernel.c_str();
    value.arith = step.arith.c_str();
    value.seconds = step.seconds;
    value.macs = step.macs;
    value.weight_bytes = step.weight_bytes;
    value.activation_bytes = step.activation_bytes;
    write_struct(value, row);
  });
}

void xdn_profile_free(xdn_profile* profile) { delete profile; }

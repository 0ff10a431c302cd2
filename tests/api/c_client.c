/* What a C compiler makes of xdn.h: C11, pedantic. */
#include "c_client.h"

#include <string.h>
#include <xdn/xdn.h>

#define HOLDS(condition)               \
  do {                                 \
    if (!(condition)) return __LINE__; \
  } while (0)

int c_client_classify(const char* path, const char* image, const uint8_t* images, int64_t n, float* logits,
                      int64_t size, int64_t* label) {
  xdn_model* model = NULL;
  HOLDS(xdn_model_load(path, NULL, &model) == XDN_OK);
  xdn_model_info info = {0};
  info.size = sizeof info;
  HOLDS(xdn_model_get_info(model, &info) == XDN_OK);
  HOLDS(info.size == sizeof info);
  HOLDS(info.channels == 3 && info.class_names == info.outputs);
  HOLDS(n * info.outputs == size);

  xdn_session_options options = {0};
  options.size = sizeof options;
  options.threads = 1;
  options.isa = "";
  xdn_session* session = NULL;
  HOLDS(xdn_session_create(model, &options, &session) == XDN_OK);
  xdn_session_settings settings = {0};
  settings.size = sizeof settings;
  HOLDS(xdn_session_get_settings(session, &settings) == XDN_OK);
  HOLDS(settings.image_size == info.channels * info.height * info.width);
  HOLDS(settings.data_parallel == 1 && settings.input == XDN_INPUT_U8);

  HOLDS(xdn_session_start_profile(session) == XDN_OK);
  HOLDS(xdn_session_run_u8(session, images, n, XDN_NHWC, logits, size) == XDN_OK);
  xdn_profile* profile = NULL;
  HOLDS(xdn_session_get_profile(session, &profile) == XDN_OK);
  int64_t macs = 0;
  for (int64_t i = 0; i < xdn_profile_layers(profile); ++i) {
    xdn_layer_profile row = {0};
    row.size = sizeof row;
    HOLDS(xdn_profile_get_layer(profile, i, &row) == XDN_OK);
    HOLDS(row.layer != NULL && strlen(row.kernel) > 0 && strcmp(row.arith, "f32") == 0);
    macs += row.macs;
  }
  HOLDS(macs == info.macs);
  xdn_profile_free(profile);

  xdn_answer answers[2];
  int64_t count = 0;
  HOLDS(xdn_session_classify(session, image, 2, answers, &count) == XDN_OK);
  HOLDS(count == 2 && answers[0].probability >= answers[1].probability);
  *label = answers[0].label;
  HOLDS(xdn_model_class_name(model, *label) != NULL);
  HOLDS(xdn_model_class_name(model, info.outputs) == NULL);

  xdn_model_free(model);
  HOLDS(xdn_session_run_u8(session, images, n, XDN_NHWC, logits, size) == XDN_OK);
  xdn_session_free(session);
  return 0;
}

/* A caller of a later version, whose options have one field more. */
struct later_options {
  xdn_session_options options;
  int64_t later;
};

int c_client_misuse(const char* path) {
  HOLDS(strcmp(xdn_last_error(), "") == 0);
  xdn_model* model = NULL;
  HOLDS(xdn_model_load(NULL, NULL, &model) == XDN_BAD_ARGUMENT && model == NULL);
  HOLDS(strcmp(xdn_last_error(), "spec is null") == 0);
  HOLDS(xdn_model_load(path, NULL, NULL) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_model_load("none.onnx", NULL, &model) == XDN_BAD_INPUT && model == NULL);
  HOLDS(strstr(xdn_last_error(), "none.onnx") != NULL);
  HOLDS(xdn_model_load(path, NULL, &model) == XDN_OK);
  HOLDS(strstr(xdn_last_error(), "none.onnx") != NULL); /* kept until the next failure */

  xdn_model_info info = {0};
  HOLDS(xdn_model_get_info(model, &info) == XDN_BAD_ARGUMENT); /* no size */
  HOLDS(strstr(xdn_last_error(), "info.size is 0") != NULL);
  info.size = sizeof info;
  HOLDS(xdn_model_get_info(NULL, &info) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_model_get_info(model, NULL) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_model_class_name(NULL, 0) == NULL && xdn_model_class_name(model, -1) == NULL);
  xdn_model* optimized = NULL;
  HOLDS(xdn_model_optimize(model, (xdn_fusion)7, &optimized) == XDN_BAD_ARGUMENT && optimized == NULL);
  HOLDS(xdn_model_save(model, NULL) == XDN_BAD_ARGUMENT);
  uint8_t pixel[3];
  HOLDS(xdn_model_load_image(model, path, NULL, 0) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_model_load_image(model, path, pixel, sizeof pixel) == XDN_BAD_INPUT); /* no image */
  HOLDS(xdn_model_decode_image(model, NULL, 4, pixel, sizeof pixel) == XDN_BAD_ARGUMENT);

  xdn_session* session = NULL;
  HOLDS(xdn_session_create(NULL, NULL, &session) == XDN_BAD_ARGUMENT);
  struct later_options later;
  memset(&later, 0, sizeof later);
  later.options.size = sizeof later;
  later.options.threads = 1;
  later.later = 1;
  HOLDS(xdn_session_create(model, &later.options, &session) == XDN_BAD_ARGUMENT && session == NULL);
  HOLDS(strstr(xdn_last_error(), "does not know") != NULL);
  later.later = 0;
  later.options.size = sizeof later.options - 1;
  HOLDS(xdn_session_create(model, &later.options, &session) == XDN_BAD_ARGUMENT);
  later.options.size = sizeof later;
  HOLDS(xdn_session_create(model, &later.options, &session) == XDN_OK);

  float logits[64];
  uint8_t image[1] = {0};
  HOLDS(xdn_session_run_u8(session, image, 1, XDN_NHWC, logits, 1) == XDN_BAD_ARGUMENT); /* no room */
  HOLDS(strstr(xdn_last_error(), "room for 1 floats") != NULL);
  HOLDS(xdn_session_run_u8(NULL, image, 1, XDN_NHWC, logits, 64) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_session_run_f32(session, logits, 0, XDN_NCHW, logits, 64) == XDN_BAD_ARGUMENT); /* takes bytes */
  int64_t count = 0;
  xdn_answer answer;
  HOLDS(xdn_top_k(NULL, 1, 1, &answer, &count) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_top_k(logits, -1, 1, &answer, &count) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_session_classify(session, path, 1, &answer, NULL) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_session_classify(session, path, 1, &answer, &count) == XDN_BAD_INPUT && count == 0);
  xdn_profile* profile = NULL;
  HOLDS(xdn_session_get_profile(session, NULL) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_session_get_profile(session, &profile) == XDN_OK);
  xdn_layer_profile row = {0};
  row.size = sizeof row;
  HOLDS(xdn_profile_get_layer(profile, -1, &row) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_profile_get_layer(profile, xdn_profile_layers(profile), &row) == XDN_BAD_ARGUMENT);
  HOLDS(xdn_profile_layers(NULL) == 0);

  xdn_profile_free(profile);
  xdn_profile_free(NULL);
  xdn_session_free(session);
  xdn_session_free(NULL);
  xdn_model_free(model);
  xdn_model_free(NULL);
  return 0;
}

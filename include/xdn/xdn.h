/* XDN: trained residual networks, fast on CPUs. The C API, which xdn.hpp wraps for C++.
 *
 *   xdn_model    a network file and how its images are made. Immutable: any number of threads may use one at
 * once. xdn_session  a model planned for this machine: weights packed, memory laid out, threads started. Any
 * number of threads may call one; they take turns, since a run keeps all of the session's threads busy. Who
 *                wants runs side by side creates a session for each, with fewer threads.
 *
 * Functions return XDN_OK or what went wrong, and xdn_last_error() says it in one line. They never throw, and
 * what they were to fill stays as it was where they fail. No pointer may be null unless its comment says so;
 * a null one is XDN_BAD_ARGUMENT. Freeing null does nothing. Text is UTF-8.
 *
 * Structs begin with their size, which the caller sets, so that later versions can append fields. In structs
 * handed to the library, 0 is the default of every field:
 *
 *   xdn_session_options options = {0};
 *   options.size = sizeof options;
 *   options.threads = 2;
 *
 * docs/api.md has shapes, units and examples.
 */
#ifndef XDN_XDN_H
#define XDN_XDN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define XDN_API __attribute__((visibility("default")))
#else
#define XDN_API
#endif

typedef enum xdn_status {
  XDN_OK = 0,
  XDN_FAILURE = 1,     /* the machine could not do it: memory, disk, threads */
  XDN_BAD_INPUT = 2,   /* a file, model or image cannot be used as it is */
  XDN_BAD_ARGUMENT = 3 /* the call itself is wrong: null, negative, too small a buffer */
} xdn_status;

/* "0.1.0" */
XDN_API const char* xdn_version(void);
/* What the last call of this thread that failed complained about, in one line; "" where none has. Valid until
 * the thread's next failure. */
XDN_API const char* xdn_last_error(void);

/* ---- Models ---- */

typedef struct xdn_model xdn_model;

/* How the bytes of an image become the model's input x, channel by channel in the model's order:
 *   x[c] = (byte * scale - mean[c]) / std[c]
 * of an image that was resized and cropped before: the shorter side to `resize`, then the middle `crop` x
 * `crop`; without both, straight to height x width. This is what MODEL.preprocess.json holds. */
typedef struct xdn_preprocess {
  size_t size;
  int64_t height, width; /* of the model's images; 0: as the model's input says */
  int64_t resize, crop;  /* 0: no such step */
  float scale;           /* 0: 1 */
  float mean[3];
  float std[3]; /* 0: 1 */
  int32_t bgr;  /* whether the model's first channel is blue */
  int32_t
      unknown; /* filled in: nobody said any of this, bytes enter as 0 ... 255. Ignored where handed in. */
} xdn_preprocess;

typedef struct xdn_load_options {
  size_t size;
  int64_t height, width; /* run the model on images of another size; both or none */
  /* In place of MODEL.preprocess.json; null: that file, if there is one. */
  const xdn_preprocess* preprocess;
} xdn_load_options;

typedef struct xdn_model_info {
  size_t size;
  int64_t channels, height, width; /* of an image */
  int64_t outputs;                 /* floats a run yields per image; of a classifier, its classes */
  int64_t class_names;             /* how many classes have a name; 0: none */
  int64_t parameters;
  int64_t macs;           /* multiply-accumulates per image */
  int32_t quantized;      /* whether layers are in 8 bits */
  const char* input_name; /* valid as long as the model */
} xdn_model_info;

/* "model.onnx" or "net.prototxt:weights.caffemodel", with one image input. options may be null. */
XDN_API xdn_status xdn_model_load(const char* spec, const xdn_load_options* options, xdn_model** model);
/* Sessions made from it live on. */
XDN_API void xdn_model_free(xdn_model* model);

XDN_API xdn_status xdn_model_get_info(const xdn_model* model, xdn_model_info* info);
XDN_API xdn_status xdn_model_get_preprocess(const xdn_model* model, xdn_preprocess* preprocess);
/* The name of a class, valid as long as the model; null where it has none (or the model is null). */
XDN_API const char* xdn_model_class_name(const xdn_model* model, int64_t label);

typedef enum xdn_fusion {
  XDN_FUSION_DEFAULT = 0, /* traditional */
  XDN_FUSION_OFF = 1,     /* only what computes nothing goes */
  XDN_FUSION_TRADITIONAL = 2,
  XDN_FUSION_AGGRESSIVE = 3 /* shortcuts become part of convolutions, where that pays */
} xdn_fusion;

/* The same network with fewer operators: a model of its own, to be freed. Sessions fuse by themselves; this
 * is for saving what came out. fusion: an xdn_fusion; enumerations are passed as int32_t, since another value
 * is an error, not undefined. */
XDN_API xdn_status xdn_model_optimize(const xdn_model* model, int32_t fusion, xdn_model** optimized);
/* Writes the model in either form, and its preprocess file beside it. Files appear whole or not at all. */
XDN_API xdn_status xdn_model_save(const xdn_model* model, const char* spec);

/* A JPEG or PNG as the bytes the model takes: height x width x channels, RGB. bytes: the size of `pixels`, at
 * least height * width * channels. The model must take 3 channels. */
XDN_API xdn_status xdn_model_load_image(const xdn_model* model, const char* path, uint8_t* pixels,
                                        size_t bytes);
/* The same for a file in memory. */
XDN_API xdn_status xdn_model_decode_image(const xdn_model* model, const void* file, size_t file_bytes,
                                          uint8_t* pixels, size_t bytes);

/* ---- Sessions ---- */

typedef struct xdn_session xdn_session;

typedef enum xdn_precision {
  XDN_PRECISION_DEFAULT = 0, /* what the file says, layer by layer */
  XDN_PRECISION_FP32 = 1,
  XDN_PRECISION_BF16 = 2, /* every float layer in bfloat16, sums in float */
  XDN_PRECISION_INT8 = 3  /* of a quantized model: what is not quantized in float */
} xdn_precision;

/* What a session takes: bytes, which it normalises itself, or the model's own normalised floats. */
typedef enum xdn_input { XDN_INPUT_U8 = 0, XDN_INPUT_F32 = 1 } xdn_input;

typedef struct xdn_session_options {
  size_t size;
  int32_t input;     /* xdn_input */
  int32_t precision; /* xdn_precision */
  int32_t fusion;    /* xdn_fusion */
  /* Threads in all, this one included; at most what affinity and cgroup grant, which is the default. They
   * form data_parallel groups of model_parallel threads. A group takes batch_tile images through the network
   * at once; its threads share every layer. */
  int32_t threads, data_parallel, model_parallel, batch_tile;
  /* Images a run will usually hold. Fewer than there are threads: the threads share each image's layers. 0:
   * many. */
  int64_t batch;
  const char* isa; /* "ref", "avx2", "avx512", "avx512vnni" or "avx512bf16"; null or "": the best there is */
} xdn_session_options;

/* What was chosen. */
typedef struct xdn_session_settings {
  size_t size;
  int32_t data_parallel, model_parallel, batch_tile;
  int32_t input;         /* xdn_input */
  const char* isa;       /* valid for ever */
  const char* precision; /* "fp32", "bf16", "int8" or "mixed"; valid for ever */
  int64_t image_size;    /* elements of one image: channels * height * width */
  int64_t outputs;       /* floats per image */
  int64_t arena_bytes;   /* activations of one group */
} xdn_session_settings;

/* Plans the model. options may be null. */
XDN_API xdn_status xdn_session_create(const xdn_model* model, const xdn_session_options* options,
                                      xdn_session** session);
/* No other thread may be inside. */
XDN_API void xdn_session_free(xdn_session* session);
XDN_API xdn_status xdn_session_get_settings(const xdn_session* session, xdn_session_settings* settings);

/* Image i's element (y, x, c) stands at i * image_size plus
 *   NHWC: (y * width + x) * channels + c        NCHW: (c * height + y) * width + x */
typedef enum xdn_layout { XDN_NHWC = 0, XDN_NCHW = 1 } xdn_layout;

/* Runs n images and writes n x outputs floats: image i's logits start at i * outputs (a Softmax at a model's
 * end is left out; see xdn_top_k). layout: an xdn_layout. size: floats that `logits` has room for. n may be
 * 0.
 *
 * run_u8 takes raw bytes, RGB where there are 3 channels, and normalises them as xdn_preprocess says. run_f32
 * takes what the network's first layer is to see, channels in the model's order. A session takes one of the
 * two. NHWC bytes and NCHW floats are read where they lie; the other two layouts are turned over in pieces
 * first. */
XDN_API xdn_status xdn_session_run_u8(xdn_session* session, const uint8_t* images, int64_t n, int32_t layout,
                                      float* logits, int64_t size);
XDN_API xdn_status xdn_session_run_f32(xdn_session* session, const float* images, int64_t n, int32_t layout,
                                       float* logits, int64_t size);

/* One class of an answer. This struct never changes. */
typedef struct xdn_answer {
  int64_t label;
  double probability; /* softmax over all outputs */
  float logit;
} xdn_answer;

/* The k best of n logits, best first, the lower label among equals. Writes min(k, n) answers and their number
 * to *count; 0 where a logit is NaN. */
XDN_API xdn_status xdn_top_k(const float* logits, int64_t n, int64_t k, xdn_answer* answers, int64_t* count);
/* The k best classes of an image file, as xdn_top_k writes them. The session takes bytes. */
XDN_API xdn_status xdn_session_classify(xdn_session* session, const char* image, int64_t k,
                                        xdn_answer* answers, int64_t* count);

/* ---- Profile ---- */

typedef struct xdn_profile xdn_profile;

typedef struct xdn_layer_profile {
  size_t size;
  const char* layer;  /* the layer's name; this and the next two valid as long as the profile */
  const char* kernel; /* what runs it */
  const char* arith;  /* "f32", "bf16" or "i8" */
  double seconds;     /* of all images since the profile was started, mean over the threads */
  int64_t macs;       /* per image */
  int64_t weight_bytes;
  int64_t activation_bytes; /* read and written, per image */
} xdn_layer_profile;

/* From now on, layers are timed, from 0. */
XDN_API xdn_status xdn_session_start_profile(xdn_session* session);
/* What has been measured so far, to be freed. A float model on the isa "ref" has no layers to time. */
XDN_API xdn_status xdn_session_get_profile(xdn_session* session, xdn_profile** profile);
/* How many layers it has; 0 for null. They stand in the order of execution. */
XDN_API int64_t xdn_profile_layers(const xdn_profile* profile);
XDN_API xdn_status xdn_profile_get_layer(const xdn_profile* profile, int64_t layer, xdn_layer_profile* row);
XDN_API void xdn_profile_free(xdn_profile* profile);

#ifdef __cplusplus
}
#endif

#endif

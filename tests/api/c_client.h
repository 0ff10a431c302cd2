#ifndef XDN_TESTS_C_CLIENT_H
#define XDN_TESTS_C_CLIENT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A program in C that uses the whole C API. Returns 0, or the line of what did not hold. Writes the logits of
 * `n` images in the layout, and the label of the best class of the image file. */
int c_client_classify(const char* model, const char* image, const uint8_t* images, int64_t n, float* logits,
                      int64_t size, int64_t* label);
/* Calls that must fail, with the status that they must give. Returns 0, or the line of what did not hold. */
int c_client_misuse(const char* model);

#ifdef __cplusplus
}
#endif

#endif

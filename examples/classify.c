/* classify_c MODEL IMAGE: the five most probable classes. */
#include <stdio.h>
#include <xdn/xdn.h>

enum { TOP = 5 };

static int failed(void) {
  fprintf(stderr, "classify_c: %s\n", xdn_last_error());
  return 1;
}

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: classify_c MODEL IMAGE\n");
    return 2;
  }
  xdn_model* model = NULL;
  if (xdn_model_load(argv[1], NULL, &model) != XDN_OK) return failed();

  xdn_session_options options = {0};
  options.size = sizeof options;
  options.batch = 1; /* one image at a time: all threads work on it */
  xdn_session* session = NULL;
  xdn_answer answers[TOP];
  int64_t count = 0;
  int code = 0;
  if (xdn_session_create(model, &options, &session) != XDN_OK ||
      xdn_session_classify(session, argv[2], TOP, answers, &count) != XDN_OK) {
    code = failed();
  }
  for (int64_t i = 0; i < count; ++i) {
    const char* name = xdn_model_class_name(model, answers[i].label);
    printf("  %6.2f %%  ", answers[i].probability * 100);
    if (name != NULL) {
      printf("%s\n", name);
    } else {
      printf("class %lld\n", (long long)answers[i].label);
    }
  }
  xdn_session_free(session);
  xdn_model_free(model);
  return code;
}

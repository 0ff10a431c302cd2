// classify MODEL IMAGE: the five most probable classes.
#include <cstdio>
#include <xdn/xdn.hpp>

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: classify MODEL IMAGE\n"), 2;
  try {
    const xdn::Model model = xdn::Model::load(argv[1]);
    xdn::SessionOptions options;
    options.batch = 1;  // one image at a time: all threads work on it
    xdn::Session session(model, options);
    for (const xdn::Answer& answer : session.classify(argv[2], 5)) {
      std::printf("  %6.2f %%  %s\n", answer.probability * 100, model.class_name(answer.label).c_str());
    }
  } catch (const xdn::Error& error) {
    return std::fprintf(stderr, "classify: %s\n", error.what()), 1;
  }
}

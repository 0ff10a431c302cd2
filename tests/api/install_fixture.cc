// install_fixture DIR: a model that knows colours, with its preprocess file, and an image, for
// install_test.sh.
#include <cstdio>
#include <exception>

#include "cli/fixtures.h"
#include "cli/models.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    const std::string dir = argv[1];
    xdn::testing::write_onnx(dir, {}, 32);
    xdn::testing::write_text(dir + "/net.preprocess.json", xdn::testing::color_preprocess(32));
    xdn::testing::write_jpeg(dir + "/image.jpg", 48, 40, 190, 120, 30);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "install_fixture: %s\n", error.what());
    return 1;
  }
}

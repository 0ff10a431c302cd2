// The C API as a C file uses it, which a C compiler has compiled.
#include <gtest/gtest.h>

#include <thread>

#include "api/api_support.h"
#include "api/c_client.h"
#include "cli/fixtures.h"

namespace {

using namespace xdn::testing;

TEST(ApiC, ClassifiesAsTheExecutorDoes) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  write_png(dir / "image.png", 16, 16, 200, 100, 50);
  constexpr int64_t n = 5;
  const std::vector<uint8_t> images = random_bytes(n * 768);
  std::vector<float> logits(n * kClasses);
  int64_t label = -1;
  ASSERT_EQ(c_client_classify(path.c_str(), (dir / "image.png").c_str(), images.data(), n, logits.data(),
                              n * kClasses, &label),
            0)
      << "line of c_client.c";
  EXPECT_EQ(logits, executor_u8(path, images, n));
  EXPECT_TRUE(label >= 0 && label < kClasses);
}

TEST(ApiC, MisuseIsAStatusAndALine) {
  const TempDir dir;
  const std::string path = write_residual_net(dir.path().string());
  int line = -1;
  std::thread([&] { line = c_client_misuse(path.c_str()); }).join();  // a thread without an error yet
  EXPECT_EQ(line, 0) << "line of c_client.c";
}

}  // namespace

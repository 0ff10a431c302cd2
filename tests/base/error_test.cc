#include "base/error.h"

#include <gtest/gtest.h>

namespace xdn {
namespace {

TEST(Error, ComposesOneLineInnermostContextWins) {
  Error error = input_error("stride is 0, expected at least 1");
  EXPECT_STREQ(error.what(), "stride is 0, expected at least 1");
  error.in_layer("conv1").in_layer("outer").in_file("net.prototxt").in_file("other");
  EXPECT_STREQ(error.what(), "net.prototxt: layer 'conv1': stride is 0, expected at least 1");
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
}

TEST(Printable, ReplacesControlBytesAndBadUtf8AndCuts) {
  EXPECT_EQ(printable("a\nb\x1b[31m"), "a?b?[31m");
  EXPECT_EQ(printable("图像"), "图像");
  EXPECT_EQ(printable("x\xff\xc3"), "x??");
  EXPECT_EQ(printable(std::string(1000, 'x')).size(), 203u);
}

}  // namespace
}  // namespace xdn

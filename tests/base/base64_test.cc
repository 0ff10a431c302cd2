#include "base/base64.h"

#include <gtest/gtest.h>

namespace xdn {
namespace {

std::string of(const std::string& text) {
  return base64({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

TEST(Base64, VectorsOfRfc4648) {
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foob"), "Zm9vYg==");
  EXPECT_EQ(of("fooba"), "Zm9vYmE=");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
}

TEST(Base64, AllBits) { EXPECT_EQ(of("\xFB\xFF\xBF\xFF"), "+/+//w=="); }

}  // namespace
}  // namespace xdn

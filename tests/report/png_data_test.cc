#include "report/png_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace xdn::report {
namespace {

using ::testing::HasSubstr;

// One red pixel.
const std::string kPixel =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";

std::string refusal(const std::string& text) {
  try {
    check_png_base64(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(PngData, TakesAPng) { EXPECT_EQ(refusal(kPixel), ""); }

TEST(PngData, RefusesWhatIsNoBase64) {
  EXPECT_THAT(refusal(kPixel.substr(1)), HasSubstr("multiple of 4"));
  std::string text = kPixel;
  for (const char wrong : {'"', '\n', '-', '=', '<', '\0'}) {
    text[20] = wrong;
    EXPECT_THAT(refusal(text), HasSubstr("wrong at byte 20")) << wrong;
  }
  EXPECT_THAT(refusal("QR=="), HasSubstr("bits are left over"));
  EXPECT_THAT(refusal("QQ==QQ=="), HasSubstr("wrong at byte 2"));
  EXPECT_NE(refusal("===="), "");
  EXPECT_NE(refusal(""), "");
}

TEST(PngData, RefusesWhatIsNoWholePng) {
  EXPECT_THAT(refusal("R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="), HasSubstr("is not a PNG"));
  EXPECT_NE(refusal(kPixel.substr(0, 60)), "");  // cut
  std::string damaged = kPixel;
  damaged[60] = damaged[60] == 'A' ? 'B' : 'A';
  EXPECT_NE(refusal(damaged), "");
}

TEST(PngData, RefusesLargeOnes) {
  // 1025 x 1 pixels, as the header says; it does not come to the data.
  EXPECT_THAT(
      refusal("iVBORw0KGgoAAAANSUhEUgAABAEAAAABCAIAAAAgriBcAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"),
      HasSubstr("1025 x 1 pixels, at most 1024 on a side fit"));
  EXPECT_THAT(refusal(std::string(size_t{1} << 20, 'A')), HasSubstr("512 KiB"));
}

}  // namespace
}  // namespace xdn::report

#include "base/sha256.h"

#include <gtest/gtest.h>

namespace xdn {
namespace {

std::string hash(const std::string& text) { return sha256_hex(text.data(), text.size()); }

// The example vectors of FIPS 180-4 and its companions.
TEST(Sha256, KnownVectors) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, PiecesGiveTheSameAsTheWhole) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  for (size_t length = 0; length <= text.size(); ++length) {
    Sha256 pieces;
    for (size_t at = 0, step = 1; at < length; ++step) {
      const size_t take = std::min(step, length - at);
      pieces.update(text.data() + at, take);
      at += take;
    }
    EXPECT_EQ(pieces.hex(), hash(text.substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace xdn

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/data_testing.h"
#include "data/npy.h"
#include "data/pack.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::expect_input_error;
using testing::read_bytes;
using testing::SyntheticDataset;
using testing::TempDir;
using testing::write_bytes;

class PackDamage : public ::testing::Test {
 protected:
  PackDamage() : path_(dir_ / "pack") { write_pack(SyntheticDataset(12, 3), path_); }

  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// In place: much cheaper than writing the file anew.
  void flip(const std::string& name, size_t bit) const {
    std::fstream stream(file(name), std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(bit / 8);
    const int byte = stream.seekg(at).get();
    stream.seekp(at).put(static_cast<char>(byte ^ (1 << (bit % 8))));
  }
  void expect_refused(const std::string& part) {
    expect_input_error(part, [&] { open_dataset(path_); });
  }

  TempDir dir_;
  std::string path_;
};

TEST_F(PackDamage, MissingFiles) {
  for (const char* name : {"images.npy", "labels.npy"}) {
    fs::rename(file(name), dir_ / "aside");
    expect_refused(std::string(name) + ": cannot open");
    fs::rename(dir_ / "aside", file(name));
  }
  fs::remove(file("pack.json"));
  expect_refused("no pack.json");
}

TEST_F(PackDamage, EveryTruncation) {
  for (const char* name : {"images.npy", "labels.npy", "pack.json"}) {
    const std::string whole = read_bytes(file(name));
    write_bytes(file(name), whole + "x");
    expect_refused(name);
    // Down to nothing; only the newline at the end of pack.json may go.
    size_t n = whole.size() - (std::string(name) == "pack.json" ? 1 : 0);
    do {
      n -= std::min<size_t>(n, n % 37 == 0 ? 37 : n % 37);
      fs::resize_file(file(name), n);
      expect_refused(name);
    } while (n != 0);
    write_bytes(file(name), whole);
  }
  EXPECT_EQ(open_dataset(path_)->size(), 12);
}

TEST_F(PackDamage, EveryBitFlipInTheHeaders) {
  // '|u1' and '<u1' are one type: this flip says the same in other words.
  const size_t harmless = 21 * 8 + 6;
  for (const auto& [name, header] : {std::pair<const char*, size_t>{"images.npy", 4096},
                                     std::pair<const char*, size_t>{"labels.npy", 128}}) {
    // All of the dictionary and the end; between them is padding, of which a sample will do.
    for (size_t bit = 0; bit < header * 8; bit += bit < 1024 || bit > header * 8 - 256 ? 1 : 97) {
      if (name == std::string("images.npy") && bit == harmless) continue;
      SCOPED_TRACE(bit);
      flip(name, bit);
      expect_refused(name);
      flip(name, bit);
    }
  }
  flip("images.npy", harmless);
  EXPECT_EQ(open_dataset(path_)->size(), 12);
}

TEST_F(PackDamage, FlippedPixelsAndLabelsFailVerification) {
  verify_pack(path_);
  for (const char* name : {"images.npy", "labels.npy"}) {
    // The last label is 2 = 0b10; flipped to 0 it is still a label.
    const size_t bit = (fs::file_size(file(name)) - 8) * 8 + 1;
    flip(name, bit);
    EXPECT_EQ(open_dataset(path_)->size(), 12);
    expect_input_error(std::string(name) + ": data do not have the SHA-256", [&] { verify_pack(path_); });
    flip(name, bit);
  }
  verify_pack(path_);
}

TEST_F(PackDamage, LabelsOutOfRange) {
  for (const int64_t wrong : {int64_t{3}, int64_t{-1}, INT64_MAX, INT64_MIN}) {
    std::vector<int64_t> labels(12, 0);
    labels[5] = wrong;
    write_npy(file("labels.npy"), Tensor::of({12}, labels));
    expect_refused("labels.npy: label 5 is " + std::to_string(wrong) + ", expected 0 to 2");
  }
}

TEST_F(PackDamage, OtherShapesAndTypes) {
  write_npy(file("labels.npy"), Tensor(DType::kI32, {12}));
  expect_refused("labels.npy: holds i32[12], expected i64[12]");
  write_npy(file("labels.npy"), Tensor(DType::kI64, {11}));
  expect_refused("labels.npy: holds i64[11], expected i64[12]");
  write_npy(file("images.npy"), Tensor(DType::kU8, {12, 3, 4, 5}));
  expect_refused("images.npy: holds u8[12,3,4,5], expected u8[12,4,5,3]");
  write_npy(file("images.npy"), Tensor(DType::kF32, {12, 4, 5, 3}));
  expect_refused("images.npy: holds f32[12,4,5,3]");
}

TEST_F(PackDamage, BadFieldsAreNamed) {
  const json good = json::parse(read_bytes(file("pack.json")));
  const auto refuse = [&](const char* field, const json& value, const std::string& part) {
    json bad = good;
    bad[field] = value;
    write_bytes(file("pack.json"), bad.dump());
    expect_refused("pack.json: " + part);
  };
  refuse("version", 2, "pack version is newer");
  refuse("version", "1", "field 'version' must be an integer");
  refuse("count", 0, "field 'count' must be an integer from 1");
  refuse("count", -12, "field 'count'");
  refuse("count", 1e18, "field 'count'");
  refuse("height", 0, "field 'height'");
  refuse("width", 65536, "field 'width'");
  refuse("resize", nullptr, "field 'resize'");
  refuse("crop", -1, "field 'crop'");
  refuse("color", "rgb", "field 'color'");
  refuse("classes", json::array(), "field 'classes' is empty");
  refuse("classes", {1, 2}, "field 'classes'[0] must be a string");
  refuse("images_sha256", 5, "field 'images_sha256' must be a string");
  for (const auto& [field, value] : good.items()) {
    if (field == "source" || field == "selection") continue;
    json bad = good;
    bad.erase(field);
    write_bytes(file("pack.json"), bad.dump());
    expect_refused("pack.json: field '" + field + "' is missing");
  }
  json other = good;
  other["count"] = 13;
  write_bytes(file("pack.json"), other.dump());
  expect_refused("images.npy: holds u8[12,4,5,3], expected u8[13,4,5,3]");
  other["count"] = int64_t{1} << 36;
  write_bytes(file("pack.json"), other.dump());
  expect_refused("images.npy");
}

TEST_F(PackDamage, AFolderInPlaceOfAFile) {
  fs::remove(file("images.npy"));
  fs::create_directory(file("images.npy"));
  expect_refused("images.npy: is not a regular file");
  fs::remove(file("pack.json"));
  fs::create_directory(file("pack.json"));
  expect_refused("pack.json: is a folder");
}

}  // namespace
}  // namespace xdn

// Messages whose bulk stays in the file.
#include "formats/wire/skeleton.h"

#include <fcntl.h>
#include <unistd.h>

#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

using Blob = caffe::BlobProto;

const SkeletonRule kBlobRule{{{Blob::kDataFieldNumber, 4}, {Blob::kDoubleDataFieldNumber, 8}}, {}, false};
const SkeletonRule kLayerRule{{}, {{caffe::LayerParameter::kBlobsFieldNumber, &kBlobRule}}, true};
const SkeletonRule kNetRule{{}, {{caffe::NetParameter::kLayerFieldNumber, &kLayerRule}}, true};

Skeleton skeleton_of(const TempDir& dir, const std::string& bytes, int fields = 1000) {
  write_text(dir / "message", bytes);
  return {FileDescriptor(::open((dir / "message").c_str(), O_RDONLY | O_CLOEXEC)),
          static_cast<int64_t>(bytes.size()),
          kNetRule,
          {32, fields}};
}

caffe::NetParameter parsed(Skeleton& skeleton) {
  EXPECT_EQ(skeleton.state(), Skeleton::State::kWhole);
  caffe::NetParameter net;
  EXPECT_TRUE(net.ParseFromString(skeleton.take_bytes()));
  return net;
}

std::optional<FilePart> data_part(const Skeleton& skeleton, const Blob& blob) {
  std::string unknown;
  blob.unknown_fields().SerializeToString(&unknown);
  return skeleton.part_of(unknown, Blob::kDataFieldNumber, blob.data_size() > 0);
}

Floats read(const Skeleton& skeleton, const FilePart& part) {
  Floats out(static_cast<size_t>(part.bytes) / sizeof(float));
  skeleton.read(part, out.data());
  return out;
}

Floats data_of(const Skeleton& skeleton, const Blob& blob) {
  if (const auto part = data_part(skeleton, blob)) return read(skeleton, *part);
  return {blob.data().begin(), blob.data().end()};
}

std::string delimited(char tag, const std::string& payload) {
  std::string out(1, tag);
  size_t length = payload.size();
  for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
  return out + static_cast<char>(length) + payload;
}

std::string packed(const Floats& values) {
  return delimited('\x2A', {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
}

std::string single(float value) {
  return std::string(1, '\x2D') + std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// A network of one layer with one blob.
std::string net_of(const std::string& blob) {
  const std::string layer = delimited('\x3A', blob);
  return '\xA2' + delimited('\x06', layer);
}

TEST(Skeleton, LargeFieldsStayInTheFile) {
  const TempDir dir;
  WeightsFile file;
  file.add_noise("a", {{50, 20}, {3}}).add_noise("b", {{7, 100}});
  Skeleton skeleton = skeleton_of(dir, file.bytes());
  const caffe::NetParameter net = parsed(skeleton);
  EXPECT_LT(net.ByteSizeLong(), 200u);
  ASSERT_EQ(net.layer_size(), file.net().layer_size());
  for (int i = 0; i < net.layer_size(); ++i) {
    EXPECT_EQ(net.layer(i).name(), file.net().layer(i).name());
    ASSERT_EQ(net.layer(i).blobs_size(), file.net().layer(i).blobs_size());
    for (int j = 0; j < net.layer(i).blobs_size(); ++j) {
      const Blob &found = net.layer(i).blobs(j), &want = file.net().layer(i).blobs(j);
      EXPECT_EQ(found.shape().SerializeAsString(), want.shape().SerializeAsString());
      EXPECT_EQ(data_part(skeleton, found).has_value(), want.data_size() > 3);
      EXPECT_EQ(data_of(skeleton, found), Floats(want.data().begin(), want.data().end()));
    }
  }
}

TEST(Skeleton, FieldsInPiecesAreKeptInOrder) {
  const TempDir dir;
  const std::string small = packed({1, 2}), large = packed(noise(30)), other = packed(noise(40, 2)),
                    one = single(9);
  for (const std::string& blob :
       {large + other, large + one, one + large, small + large, large + small, large + one + other + small,
        small, one + one, large + packed({}), packed({}) + large, large}) {
    Skeleton skeleton = skeleton_of(dir, net_of(blob));
    const caffe::NetParameter net = parsed(skeleton);
    Blob want;
    ASSERT_TRUE(want.ParseFromString(blob));
    EXPECT_EQ(data_of(skeleton, net.layer(0).blobs(0)), Floats(want.data().begin(), want.data().end()));
    EXPECT_EQ(data_part(skeleton, net.layer(0).blobs(0)).has_value(), blob == large);
  }
}

TEST(Skeleton, ReferencesInTheFileItselfAreDropped) {
  const TempDir dir;
  // Field 2^29 - 1, fixed64: "data is part 0".
  const std::string reference("\xF9\xFF\xFF\xFF\x0F\x00\x00\x00\x00\x05\x00\x00\x00", 13);
  Skeleton skeleton = skeleton_of(dir, net_of(reference) + net_of(packed(noise(30))));
  const caffe::NetParameter net = parsed(skeleton);
  EXPECT_FALSE(data_part(skeleton, net.layer(0).blobs(0)).has_value());
  EXPECT_TRUE(data_part(skeleton, net.layer(1).blobs(0)).has_value());
  // Where no rule leads they stay, and are found out.
  EXPECT_THROW(skeleton.part_of(std::string(reference).replace(5, 1, "\x01"), Blob::kDataFieldNumber, false),
               Error);
  EXPECT_THROW(skeleton.part_of(reference + reference, Blob::kDataFieldNumber, false), Error);
  EXPECT_THROW(skeleton.part_of(reference, Blob::kDataFieldNumber, true), Error);
  EXPECT_FALSE(skeleton.part_of(reference, Blob::kDiffFieldNumber, true).has_value());
  EXPECT_FALSE(skeleton.part_of(reference.substr(0, 9), Blob::kDataFieldNumber, false).has_value());
}

TEST(Skeleton, WrongLengths) {
  const TempDir dir;
  const std::string floats = packed(noise(30));
  const std::string good = net_of(floats);
  const auto state_of = [&](const std::string& bytes) { return skeleton_of(dir, bytes).state(); };
  ASSERT_EQ(state_of(good + good), Skeleton::State::kWhole);
  // Every cut within the second layer, the first being whole.
  for (size_t size = 1; size < good.size(); ++size)
    EXPECT_EQ(state_of(good + good.substr(0, size)), Skeleton::State::kDamaged) << size;
  // A layer longer, and one shorter, than its blob; a blob longer than its layer.
  for (const size_t at : {size_t{2}, size_t{4}, size_t{6}}) {
    for (const int step : {-1, 1}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] + step);
      EXPECT_EQ(state_of(bad), Skeleton::State::kDamaged) << at << " " << step;
      EXPECT_EQ(state_of(bad + good), Skeleton::State::kDamaged) << at << " " << step;
    }
  }
  // Lengths beyond any file, beyond int, and 67 bytes of floats.
  for (const char* length :
       {"\xFF\xFF\xFF\xFF\x07", "\xFF\xFF\xFF\xFF\x0F", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"})
    EXPECT_EQ(state_of(net_of(std::string("\x2A") + length + floats)), Skeleton::State::kDamaged);
  EXPECT_EQ(state_of(net_of(delimited('\x2A', std::string(67, 'x')))), Skeleton::State::kDamaged);
  Skeleton cut = skeleton_of(dir, good.substr(0, 20));
  EXPECT_EQ(cut.state(), Skeleton::State::kDamaged);
  EXPECT_LE(cut.stopped_at(), 20);
}

TEST(Skeleton, FieldsAreCounted) {
  const TempDir dir;
  const std::string net = net_of(packed(noise(30)));  // a layer, and a blob in it
  EXPECT_EQ(skeleton_of(dir, net + net, 4).state(), Skeleton::State::kWhole);
  EXPECT_EQ(skeleton_of(dir, net + net, 3).state(), Skeleton::State::kTooManyFields);
}

TEST(Skeleton, AFileThatBecameShorterIsAnError) {
  const TempDir dir;
  Skeleton skeleton = skeleton_of(dir, net_of(packed(noise(30))));
  const caffe::NetParameter net = parsed(skeleton);
  const auto part = data_part(skeleton, net.layer(0).blobs(0));
  ASSERT_TRUE(part.has_value());
  ASSERT_EQ(::truncate((dir / "message").c_str(), 60), 0);
  EXPECT_THROW(read(skeleton, *part), Error);
}

}  // namespace
}  // namespace xdn::testing

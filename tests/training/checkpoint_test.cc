#include "training/checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "support/shared_data.h"
#include "training/run_folder.h"

namespace xdn::testing {
namespace {

using training::Checkpoint;
using training::RunFolder;

Checkpoint some_checkpoint() {
  Checkpoint c;
  c.state = R"({"epoch":3,"log":["{\"a\":1}"]})";
  c.tensors.emplace("weights/a", Tensor::of<float>({2, 2}, std::vector<float>{1, 2, 3, -0.0f}));
  c.tensors.emplace("weights/empty", Tensor(DType::kF32, {0}));
  c.tensors.emplace("x", Tensor::of<int64_t>({1}, std::vector<int64_t>{-7}));
  return c;
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string error_of(const std::string& path) {
  try {
    (void)training::read_checkpoint(path);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_EQ(error.file(), path);
    return error.message();
  }
  return "no error";
}

TEST(Checkpoint, ComesBackAsItWas) {
  const TempDir dir;
  const Checkpoint c = some_checkpoint();
  training::write_checkpoint(c, dir / "c");
  const Checkpoint back = training::read_checkpoint(dir / "c");
  EXPECT_EQ(back.state, c.state);
  ASSERT_EQ(back.tensors.size(), c.tensors.size());
  for (const auto& [name, tensor] : c.tensors) {
    const Tensor& got = back.tensors.at(name);
    EXPECT_EQ(got.dtype(), tensor.dtype());
    EXPECT_EQ(got.dims(), tensor.dims());
    EXPECT_EQ(std::memcmp(got.raw(), tensor.raw(), tensor.bytes()), 0);
  }
}

TEST(Checkpoint, EveryCutAndEveryFlippedByteIsFound) {
  const TempDir dir;
  training::write_checkpoint(some_checkpoint(), dir / "c");
  const std::string good = read_file(dir / "c");
  for (size_t size = 0; size < good.size(); ++size) {
    write(dir / "bad", good.substr(0, size));
    ASSERT_NE(error_of(dir / "bad"), "no error") << size;
  }
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    write(dir / "bad", bad);
    ASSERT_NE(error_of(dir / "bad"), "no error") << i;
  }
}

/// The sum is right, and yet the content is none.
TEST(Checkpoint, NonsenseUnderAValidSum) {
  const TempDir dir;
  const auto sealed = [&](const std::string& head, uint64_t length, const std::string& data) {
    std::string bytes = "XDNTRAIN";
    const uint32_t version = 1;
    bytes.append(reinterpret_cast<const char*>(&version), sizeof(version));
    bytes.append(reinterpret_cast<const char*>(&length), sizeof(length));
    bytes += head + data;
    write(dir / "bad", bytes + sha256_hex(bytes.data(), bytes.size()));
    return error_of(dir / "bad");
  };
  const auto tensor = [](const std::string& dims, const std::string& dtype) {
    return R"({"state":{},"tensors":[{"name":"a","dtype":")" + dtype + R"(","dims":)" + dims + "}]}";
  };
  const auto sealed_head = [&](const std::string& head, const std::string& data = "") {
    return sealed(head, head.size(), data);
  };
  EXPECT_EQ(sealed_head(tensor("[1]", "f32"), "abcd"), "no error");
  EXPECT_NE(sealed_head(tensor("[1]", "f32"), "abc"), "no error");
  EXPECT_NE(sealed_head(tensor("[1]", "f32"), "abcde"), "no error");
  EXPECT_NE(sealed_head(tensor("[1]", "f99"), "abcd"), "no error");
  EXPECT_NE(sealed_head(tensor("[-1]", "f32"), "abcd"), "no error");
  EXPECT_NE(sealed_head(tensor("[4611686018427387904,4]", "f32"), "abcd"), "no error");
  EXPECT_NE(sealed_head("{}"), "no error");
  EXPECT_NE(sealed_head("[1,"), "no error");
  EXPECT_NE(sealed("{}", ~uint64_t{0}, ""), "no error");
}

TEST(Checkpoint, ForeignFiles) {
  const TempDir dir;
  write(dir / "png", "\x89PNG and so on, long enough to be a head and a sum ...............................");
  EXPECT_EQ(error_of(dir / "png"), "is no checkpoint of xdn train");
  EXPECT_NE(error_of(dir / "absent"), "no error");
}

std::string refusal_of(const std::string& path, bool resume) {
  try {
    const RunFolder folder(path, resume);
  } catch (const Error& error) {
    return error.message();
  }
  return "no error";
}

TEST(RunFolder, BelongsToOneProcessAndOneRun) {
  const TempDir dir;
  const std::string path = dir / "deep/run";
  {
    const RunFolder folder(path, false);
    EXPECT_FALSE(folder.load());
    EXPECT_EQ(refusal_of(path, false), "is in use by another xdn train");
    folder.save(some_checkpoint());
    folder.write_log({"one", "two"});
    EXPECT_EQ(read_file(path + "/log.jsonl"), "one\ntwo\n");
  }
  EXPECT_EQ(refusal_of(path, false), "holds a run already: --resume continues it, --run DIR begins another");
  write(path + "/checkpoint.xdn.tmp-aB3dEf", "half");
  const RunFolder again(path, true);
  ASSERT_TRUE(again.load());
  EXPECT_EQ(again.load()->state, some_checkpoint().state);
  EXPECT_FALSE(std::filesystem::exists(path + "/checkpoint.xdn.tmp-aB3dEf"));
}

TEST(RunFolder, AFileIsNoFolder) {
  const TempDir dir;
  write(dir / "file", "");
  EXPECT_NE(refusal_of(dir / "file", false), "no error");
  EXPECT_NE(refusal_of(dir / "file/run", false), "no error");
}

}  // namespace
}  // namespace xdn::testing

// Files that are not what they should be.

#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include "formats/caffe_test_support.h"

namespace xdn::testing {
namespace {

const std::string kNet =
    input_layer({1, 2, 4, 4}) +
    layer("Convolution", {"data"}, {"conv"}, "convolution_param { num_output: 3 kernel_size: 3 }") +
    layer("BatchNorm", {"conv"}, {"conv"}, "", "bn") + layer("ReLU", {"conv"}, {"conv"}, "", "relu") +
    layer("InnerProduct", {"conv"}, {"fc"}, "inner_product_param { num_output: 4 }") +
    layer("Softmax", {"fc"}, {"prob"});

std::string good_weights() {
  return WeightsFile()
      .add_noise("conv", {{3, 2, 3, 3}, {3}})
      .add("bn", {{{3}, {1, 2, 3}}, {{3}, {1, 1, 1}}, {{1}, {2}}})
      .add_noise("fc", {{4, 12}, {4}})
      .bytes();
}

TEST(CaffeFiles, Good) {
  EXPECT_EQ(output_names(import_texts(kNet, good_weights())), std::vector<std::string>{"prob"});
}

TEST(CaffeFiles, Missing) {
  const TempDir dir;
  const auto failure_of = [&](const std::string& prototxt, const std::string& caffemodel) -> std::string {
    try {
      import_caffe(prototxt, caffemodel);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "";
  };
  write_text(dir / "net.prototxt", kNet);
  write_text(dir / "net.caffemodel", good_weights());
  EXPECT_EQ(failure_of(dir / "absent", dir / "net.caffemodel"),
            (dir / "absent") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(failure_of(dir / "net.prototxt", dir / "absent"),
            (dir / "absent") + ": cannot be opened: No such file or directory");
  EXPECT_EQ(failure_of(dir.path().string(), dir / "net.caffemodel"),
            dir.path().string() + ": is not a regular file");
  EXPECT_EQ(failure_of(dir / "net.prototxt", dir.path().string()),
            dir.path().string() + ": is not a regular file");
  EXPECT_EQ(failure_of(dir / "net.prototxt", "/dev/zero"), "/dev/zero: is not a regular file");
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(failure_of(dir / "pipe", dir / "net.caffemodel"), (dir / "pipe") + ": is not a regular file");
  EXPECT_EQ(failure_of(dir / "net.prototxt", dir / "pipe"), (dir / "pipe") + ": is not a regular file");
  if (::geteuid() != 0) {
    ASSERT_EQ(::chmod((dir / "net.caffemodel").c_str(), 0), 0);
    EXPECT_EQ(failure_of(dir / "net.prototxt", dir / "net.caffemodel"),
              (dir / "net.caffemodel") + ": cannot be opened: Permission denied");
  }
  // Larger than protobuf can hold; a file of holes takes no room.
  write_text(dir / "huge", "");
  ASSERT_EQ(::truncate((dir / "huge").c_str(), int64_t{1} << 31), 0);
  EXPECT_EQ(failure_of(dir / "net.prototxt", dir / "huge"),
            (dir / "huge") + ": is not a caffemodel (larger than 2 GiB)");
  EXPECT_NE(failure_of(dir / "huge", dir / "net.caffemodel").find("larger"), std::string::npos);
}

TEST(CaffeFiles, Swapped) {
  const TempDir dir;
  write_text(dir / "net.prototxt", kNet);
  write_text(dir / "net.caffemodel", good_weights());
  try {
    import_caffe(dir / "net.caffemodel", dir / "net.prototxt");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.message(),
              "is not a prototxt (it is binary; expected NET.prototxt:WEIGHTS.caffemodel in this order)");
  }
  EXPECT_EQ(import_failure(kNet, kNet),
            "net.caffemodel: is not a caffemodel (it is text; expected NET.prototxt:WEIGHTS.caffemodel in "
            "this order)");
}

TEST(CaffeFiles, NotACaffemodel) {
  EXPECT_EQ(import_failure(kNet, std::string()), "net.caffemodel: is not a caffemodel (it is empty)");
  EXPECT_EQ(import_failure(kNet, std::string("\x89HDF\r\n\x1A\n and more", 17)),
            "net.caffemodel: is not a caffemodel (HDF5 weights are not supported)");
  EXPECT_EQ(import_failure(kNet, std::string("\x0A\x03net", 5)),
            "net.caffemodel: is not a caffemodel (it holds no layers)");
  EXPECT_EQ(
      import_failure(kNet, std::string(4096, '\0')).find("net.caffemodel: is not a caffemodel (truncated"),
      0u);
  EXPECT_EQ(
      import_failure(kNet, std::string(4096, '\xFF')).find("net.caffemodel: is not a caffemodel (truncated"),
      0u);
  // Groups within groups.
  EXPECT_EQ(import_failure(kNet, std::string(1 << 20, '\x0B'))
                .find("net.caffemodel: is not a caffemodel (truncated"),
            0u);
  // Two million empty layers.
  std::string many;
  for (int i = 0; i < 1 << 21; ++i) many += std::string("\xA2\x06\x00", 3);
  EXPECT_EQ(import_failure(kNet, many), "net.caffemodel: is not a caffemodel (more than 1048576 fields)");
}

TEST(CaffeFiles, NotAPrototxt) {
  const std::string good = good_weights();
  EXPECT_EQ(
      import_failure("layer { name: 'a' ", good).find("net.prototxt: is not a prototxt (line 1, column "),
      0u);
  EXPECT_EQ(import_failure("layer {\n name: 3\n}", good),
            "net.prototxt: is not a prototxt (line 2, column 8: Expected string, got: 3)");
  EXPECT_EQ(import_failure("layer { type: 'Pooling' pooling_param { pool: MEDIAN } }", good)
                .find("net.prototxt: is not a prototxt (line 1"),
            0u);
  EXPECT_EQ(
      import_failure("layer { name: 'a' name: 'b' }", good).find("net.prototxt: is not a prototxt (line 1"),
      0u);
  EXPECT_EQ(import_failure("", good), "net.prototxt: has no layers");
  EXPECT_EQ(import_failure("# only a comment\n", good), "net.prototxt: has no layers");
  EXPECT_EQ(import_failure("hello world", good).find("net.prototxt: is not a prototxt (line 1"), 0u);
  // Deep nesting, in fields that nobody knows.
  std::string deep;
  for (int i = 0; i < 200000; ++i) deep += "a{";
  EXPECT_EQ(import_failure(deep, good).find("net.prototxt: is not a prototxt (line 1"), 0u);
  std::string lists;
  for (int i = 0; i < 200000; ++i) lists += "a:[";
  EXPECT_EQ(import_failure(lists, good).find("net.prototxt: is not a prototxt (line 1"), 0u);
}

/// Any outcome but a crash, an error of another kind, or more than one line.
bool imports(const std::string& prototxt, const std::string& caffemodel, const TempDir& dir) {
  write_text(dir / "net.prototxt", prototxt);
  write_text(dir / "net.caffemodel", caffemodel);
  try {
    import_caffe(dir / "net.prototxt", dir / "net.caffemodel");
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    EXPECT_FALSE(error.file().empty()) << error.what();
    return false;
  }
}

TEST(CaffeFiles, EveryTruncationOfTheWeightsIsAnError) {
  const TempDir dir;
  const std::string good = good_weights();
  ASSERT_TRUE(imports(kNet, good, dir));
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(imports(kNet, good.substr(0, size), dir)) << size;
}

TEST(CaffeFiles, BitFlipsInTheWeightsNeverCrash) {
  const TempDir dir;
  const std::string good = good_weights();
  for (size_t bit = 0; bit < good.size() * 8; bit += 11) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1u << (bit % 8)));
    imports(kNet, bad, dir);
  }
}

TEST(CaffeFiles, DamagedPrototxtsNeverCrash) {
  spdlog::set_level(spdlog::level::off);
  const TempDir dir;
  const std::string good = good_weights();
  uint32_t state = 99;
  const auto random = [&](size_t below) {
    state = state * 1664525u + 1013904223u;
    return static_cast<size_t>(state >> 8) % below;
  };
  const std::string letters = "{}:'\"0123456789-[]<>,;#ae \n\x01\xFF";
  for (int round = 0; round < 500; ++round) {
    std::string bad = kNet;
    for (size_t edits = 1 + random(3); edits > 0; --edits) {
      const size_t at = random(bad.size());
      switch (random(3)) {
        case 0:
          bad[at] = letters[random(letters.size())];
          break;
        case 1:
          bad.erase(at, 1 + random(12));
          break;
        default:
          bad.insert(at, bad.substr(random(bad.size()), random(40)));
          break;
      }
    }
    imports(bad, good, dir);
  }
  spdlog::set_level(spdlog::level::info);
}

}  // namespace
}  // namespace xdn::testing

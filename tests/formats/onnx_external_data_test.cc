#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "formats/onnx/file_beneath.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

/// DIR/outside.bin, DIR/model/{weights.bin, sub/weights.bin, link.bin -> ../outside.bin, linked -> ..}
class ExternalData : public ::testing::Test {
 protected:
  ExternalData() {
    for (float value = 0; value < 8; ++value)
      bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    fs::create_directories(dir_.path() / "model" / "sub");
    write_file(dir_ / "outside.bin", bytes_);
    write_file(dir_ / "model/weights.bin", bytes_);
    write_file(dir_ / "model/sub/weights.bin", bytes_);
    fs::create_symlink("../outside.bin", dir_.path() / "model/link.bin");
    fs::create_symlink("weights.bin", dir_.path() / "model/inner.bin");
    fs::create_symlink("..", dir_.path() / "model/linked");
    mkfifo((dir_ / "model/fifo").c_str(), 0600);
  }

  using Entries = std::vector<std::pair<std::string, std::string>>;
  OnnxModel model(const Entries& entries, const Dims& dims = {2, 2}) const {
    OnnxModel m;
    m.input("x", {-1, 2}).output("y").node("MatMul", {"x", "w"}, {"y"});
    auto& tensor = *m.proto.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : dims) tensor.add_dims(extent);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key);
      entry.set_value(value);
    }
    return m;
  }

  std::string path() const { return dir_ / "model/model.onnx"; }
  Graph load(const Entries& entries) {
    write_file(path(), model(entries).bytes());
    return import_onnx(path());
  }
  std::string error(const Entries& entries, const Dims& dims = {2, 2}) {
    write_file(path(), model(entries, dims).bytes());
    return import_error_of_file(path());
  }

  TempDir dir_;
  std::string bytes_;
};

TEST_F(ExternalData, IsReadAtItsOffset) {
  const Graph whole = load({{"location", "weights.bin"}});
  EXPECT_EQ(value_of(whole, "w").constant->as_double(3), 3.0);
  const Graph part =
      load({{"location", "sub/weights.bin"}, {"offset", "16"}, {"length", "16"}, {"checksum", "ignored"}});
  EXPECT_EQ(value_of(part, "w").constant->as_double(0), 4.0);
  EXPECT_EQ(value_of(part, "w").constant->as_double(3), 7.0);
  const Graph dotted = load({{"location", "./sub//weights.bin"}});
  EXPECT_EQ(value_of(dotted, "w").constant->as_double(0), 0.0);
}

TEST_F(ExternalData, CannotLeaveTheFolder) {
  EXPECT_THAT(error({{"location", "../outside.bin"}}), HasSubstr("leaves the model's folder"));
  EXPECT_THAT(error({{"location", "sub/../../outside.bin"}}), HasSubstr("leaves the model's folder"));
  EXPECT_THAT(error({{"location", dir_ / "outside.bin"}}), HasSubstr("absolute path"));
  EXPECT_THAT(error({{"location", "/etc/passwd"}}),
              HasSubstr("layer 'node of y': tensor 'w': external data '/etc/passwd'"));
  EXPECT_THAT(error({{"location", "link.bin"}}), HasSubstr("symbolic link"));
  EXPECT_THAT(error({{"location", "inner.bin"}}), HasSubstr("symbolic link"));
  EXPECT_THAT(error({{"location", "linked/outside.bin"}}), HasSubstr("symbolic link"));
}

TEST_F(ExternalData, IsARegularFile) {
  EXPECT_THAT(error({{"location", "sub"}}), HasSubstr("is a folder"));
  EXPECT_THAT(error({{"location", "."}}), HasSubstr("is a folder"));
  EXPECT_THAT(error({{"location", "fifo"}}), HasSubstr("not a regular file"));
  EXPECT_THAT(error({{"location", "absent.bin"}}), HasSubstr("No such file"));
  EXPECT_THAT(error({{"location", "weights.bin/inside"}}), HasSubstr("cannot be opened"));
  EXPECT_THAT(error({{"location", ""}}), HasSubstr("no location"));
  EXPECT_THAT(error({}), HasSubstr("no location"));
  EXPECT_THAT(error({{"location", std::string("a\0b", 3)}}), HasSubstr("zero byte"));
  EXPECT_THAT(error({{"location", std::string(5000, 'a')}}), HasSubstr("too long"));
}

TEST_F(ExternalData, SizesAreChecked) {
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "20"}}),
              HasSubstr("has 32 bytes, expected 16 at offset 20"));
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "9223372036854775807"}}),
              HasSubstr("has 32 bytes"));
  EXPECT_THAT(error({{"location", "weights.bin"}, {"length", "8"}}), HasSubstr("holds 8 bytes, expected 16"));
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "-4"}}), HasSubstr("offset '-4'"));
  EXPECT_THAT(error({{"location", "weights.bin"}, {"offset", "four"}}), HasSubstr("offset 'four'"));
  EXPECT_THAT(error({{"location", "weights.bin"}}, {2, 1 << 20}), HasSubstr("has 32 bytes"));
  EXPECT_THAT(error({{"location", "weights.bin"}}, {1 << 20, 1 << 20}), HasSubstr("is larger"));
}

TEST_F(ExternalData, WalkingAgreesWithTheKernel) {
  const std::string folder = dir_ / "model";
  using Open = std::function<onnx_io::OpenedFile(const std::string&, const std::string&)>;
  const auto outcome = [&](const Open& open, const std::string& location) -> std::string {
    try {
      return std::to_string(open(folder, location).size);
    } catch (const Error& e) {
      return e.what();
    }
  };
  for (const char* location :
       {"weights.bin", "sub/weights.bin", "../outside.bin", "link.bin", "linked/outside.bin", "sub", "fifo",
        "absent", "weights.bin/inside", "/etc/passwd", "sub/absent"}) {
    EXPECT_EQ(outcome(onnx_io::open_beneath, location), outcome(onnx_io::open_beneath_by_walking, location))
        << location;
  }
}

TEST(FileBeneath, FolderOf) {
  EXPECT_EQ(onnx_io::folder_of("a/b/c.onnx"), "a/b");
  EXPECT_EQ(onnx_io::folder_of("c.onnx"), ".");
  EXPECT_EQ(onnx_io::folder_of("/c.onnx"), "/");
}

}  // namespace
}  // namespace xdn::testing

#include "formats/model_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;

std::string load_error(const std::string& spec) {
  try {
    load_model(spec);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    return e.what();
  }
  return "";
}

TEST(ModelIo, StemOfBothForms) {
  EXPECT_EQ(model_stem("dir/net.onnx"), "dir/net");
  EXPECT_EQ(model_stem("dir/net.prototxt:other/weights.caffemodel"), "dir/net");
  EXPECT_EQ(model_stem("a.b.onnx"), "a.b");
  EXPECT_THROW(model_stem("net.caffemodel"), Error);
}

TEST(ModelIo, OnnxByItsName) {
  const TempDir dir;
  OnnxModel model;
  model.input("x", {-1, 2}).output("y").node("Relu", {"x"}, {"y"});
  write_file(dir / "net.onnx", model.bytes());
  EXPECT_EQ(census(load_model(dir / "net.onnx")), "Relu:1");
}

TEST(ModelIo, OtherNamesAreExplained) {
  const std::string expected = "expected model.onnx or net.prototxt:weights.caffemodel";
  for (const char* spec :
       {"", "net", "net.prototxt", "net.caffemodel", "net.onnx.txt", "net.txt:weights.caffemodel"}) {
    EXPECT_THAT(load_error(spec), HasSubstr(expected)) << spec;
  }
  EXPECT_THAT(load_error("net.prototxt:"), HasSubstr("expected the weights after the colon"));
}

TEST(ModelIo, CaffeByItsColon) {
  EXPECT_THAT(load_error("/absent/net.prototxt:/absent/net.caffemodel"), HasSubstr("/absent/net.prototxt: "));
}

}  // namespace
}  // namespace xdn::testing

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "base/error.h"
#include "formats/onnx/tensor_proto.h"
#include "formats/onnx_support.h"

namespace xdn::testing {
namespace {

using ::testing::HasSubstr;
using Proto = onnx::TensorProto;

Proto proto_of(int type, const Dims& dims) {
  Proto proto;
  proto.set_name("t");
  proto.set_data_type(type);
  for (const int64_t extent : dims) proto.add_dims(extent);
  return proto;
}

std::string error_of(const Proto& proto) {
  try {
    tensor_from_proto(proto);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(OnnxTensor, TypedFields) {
  Proto f32 = proto_of(Proto::FLOAT, {2});
  f32.add_float_data(1.5f);
  f32.add_float_data(-2.5f);
  EXPECT_EQ(tensor_from_proto(f32).as_double(1), -2.5);

  Proto f64 = proto_of(Proto::DOUBLE, {1});
  f64.add_double_data(1e300);
  EXPECT_EQ(tensor_from_proto(f64).as_double(0), 1e300);

  Proto i64 = proto_of(Proto::INT64, {});
  i64.add_int64_data(int64_t{1} << 60);
  EXPECT_EQ(tensor_from_proto(i64).as_int(0), int64_t{1} << 60);

  Proto u64 = proto_of(Proto::UINT64, {1});
  u64.add_uint64_data(7);
  EXPECT_EQ(tensor_from_proto(u64).dtype(), DType::kU64);

  Proto u32 = proto_of(Proto::UINT32, {1});
  u32.add_uint64_data(0xFFFFFFFFu);
  EXPECT_EQ(tensor_from_proto(u32).as_int(0), 0xFFFFFFFF);
}

TEST(OnnxTensor, NarrowTypesStandInInt32Data) {
  const std::pair<int, int64_t> cases[] = {{Proto::INT32, -70000}, {Proto::INT16, -300}, {Proto::INT8, -3},
                                           {Proto::UINT16, 65535}, {Proto::UINT8, 255},  {Proto::BOOL, 1}};
  for (const auto& [type, value] : cases) {
    Proto proto = proto_of(type, {1});
    proto.add_int32_data(static_cast<int32_t>(value));
    EXPECT_EQ(tensor_from_proto(proto).as_int(0), value) << type;
  }
}

TEST(OnnxTensor, HalfTypesAreBits) {
  Proto f16 = proto_of(Proto::FLOAT16, {1});
  f16.add_int32_data(0x3C00);
  EXPECT_EQ(tensor_from_proto(f16).as_double(0), 1.0);
  Proto bf16 = proto_of(Proto::BFLOAT16, {1});
  bf16.add_int32_data(0xC000);
  EXPECT_EQ(tensor_from_proto(bf16).as_double(0), -2.0);
  f16.clear_int32_data();
  f16.set_raw_data(std::string("\x00\x40", 2));
  EXPECT_EQ(tensor_from_proto(f16).as_double(0), 2.0);
}

TEST(OnnxTensor, RawBooleansBecomeZeroAndOne) {
  Proto proto = proto_of(Proto::BOOL, {3});
  proto.set_raw_data(std::string("\x00\x02\xFF", 3));
  EXPECT_EQ(tensor_from_proto(proto).to_ints(), (Dims{0, 1, 1}));
}

TEST(OnnxTensor, ScalarsAndEmptyOnes) {
  EXPECT_EQ(tensor_from_proto(proto_of(Proto::FLOAT, {0, 3})).size(), 0);
  EXPECT_EQ(tensor_from_proto(proto_of(Proto::FLOAT, {int64_t{1} << 62, 0})).size(), 0);
  Proto scalar = proto_of(Proto::FLOAT, {});
  scalar.set_raw_data(std::string(4, '\0'));
  EXPECT_EQ(tensor_from_proto(scalar).rank(), 0u);
}

/// The tensor, read from a file that holds it as the proto says.
Tensor read_from_file(const Proto& proto, bool as_node) {
  OnnxModel m;
  m.input("x", {-1, 3}).output("y").output("t").node("Relu", {"x"}, {"y"});
  if (as_node) {
    onnx::AttributeProto value;
    value.set_name("value");
    value.set_type(onnx::AttributeProto::TENSOR);
    *value.mutable_t() = proto;
    m.node("Constant", {}, {"t"}, {value});
  } else {
    *m.proto.mutable_graph()->add_initializer() = proto;
  }
  return *value_of(import_model(m), "t").constant;
}

TEST(OnnxTensor, LargeDataReadFromTheFile) {
  const Tensor want = floats({300}, -7, 0.25f);
  Proto typed = proto_of(Proto::FLOAT, {300}), wide = proto_of(Proto::DOUBLE, {300});
  for (const float value : want.data<float>()) {
    typed.add_float_data(value);
    wide.add_double_data(static_cast<double>(value));
  }
  for (const bool as_node : {false, true}) {
    for (const Proto& proto : {tensor_proto("t", want), typed, wide}) {
      const Tensor found = read_from_file(proto, as_node);
      ASSERT_EQ(found.size(), 300);
      for (int64_t i = 0; i < 300; ++i) ASSERT_EQ(found.as_double(i), want.as_double(i));
    }
  }
  Proto booleans = proto_of(Proto::BOOL, {300});
  booleans.set_raw_data(std::string(300, '\x80'));
  EXPECT_EQ(static_cast<const uint8_t*>(read_from_file(booleans, false).raw())[299], 1);
}

TEST(OnnxTensor, LargeDataOfWrongLength) {
  const auto error_in_file = [](const Proto& proto) {
    OnnxModel m;
    m.input("x", {-1, 300}).output("y").node("Add", {"x", "t"}, {"y"});
    *m.proto.mutable_graph()->add_initializer() = proto;
    return import_error(m);
  };
  Proto raw = proto_of(Proto::FLOAT, {300}), typed = raw;
  raw.set_raw_data(std::string(1199, '\0'));
  EXPECT_THAT(error_in_file(raw), HasSubstr("tensor 't': holds 1199 bytes, expected 1200"));
  for (int i = 0; i < 299; ++i) typed.add_float_data(1);
  EXPECT_THAT(error_in_file(typed), HasSubstr("tensor 't': holds 299 values, expected 300"));
}

std::string delimited(char tag, const std::string& payload) {
  std::string out(1, tag);
  size_t length = payload.size();
  for (; length >= 0x80; length >>= 7) out += static_cast<char>(length | 0x80);
  return out + static_cast<char>(length) + payload;
}

/// A field that is given twice merges; numbers that were left in the file cannot.
TEST(OnnxTensor, ATensorInPiecesIsRefused) {
  const std::string tensor = delimited('\x2A', tensor_proto("t", floats({60})).SerializeAsString());
  onnx::NodeProto node;
  node.add_output("y");
  node.set_op_type("Constant");
  OnnxModel m;
  m.output("y");
  const auto bytes_with = [&](const std::string& value) {
    const std::string attribute = delimited('\x0A', "value") + std::string("\xA0\x01\x04", 3) + value;
    const std::string with_value = node.SerializeAsString() + delimited('\x2A', attribute);
    return m.bytes() + delimited('\x3A', delimited('\x0A', with_value));
  };
  const TempDir dir;
  write_file(dir / "once.onnx", bytes_with(tensor));
  EXPECT_EQ(value_of(import_onnx(dir / "once.onnx"), "y").shape, Dims{60});
  write_file(dir / "twice.onnx", bytes_with(tensor + tensor));
  EXPECT_THAT(import_error_of_file(dir / "twice.onnx"), HasSubstr("in pieces, which is not supported"));
}

TEST(OnnxTensor, BadOnes) {
  EXPECT_THAT(error_of(proto_of(Proto::FLOAT, {2})),
              HasSubstr("tensor 't': holds 0 values, expected 2 for shape [2]"));
  Proto raw = proto_of(Proto::FLOAT, {2});
  raw.set_raw_data("abcdefg");
  EXPECT_THAT(error_of(raw), HasSubstr("holds 7 bytes, expected 8"));
  EXPECT_THAT(error_of(proto_of(Proto::FLOAT, {-1})), HasSubstr("negative extent"));
  EXPECT_THAT(error_of(proto_of(Proto::FLOAT, {INT64_MAX, INT64_MAX})), HasSubstr("larger"));
  EXPECT_THAT(error_of(proto_of(Proto::FLOAT, {1 << 30})), HasSubstr("holds 0 values"));
  EXPECT_THAT(error_of(proto_of(Proto::STRING, {1})),
              HasSubstr("element type string, which is not supported"));
  EXPECT_THAT(error_of(proto_of(Proto::UNDEFINED, {1})), HasSubstr("undefined"));
  EXPECT_THAT(error_of(proto_of(21, {1})), HasSubstr("uint4"));
  EXPECT_THAT(error_of(proto_of(999, {1})), HasSubstr("999"));
  EXPECT_THAT(error_of(proto_of(Proto::FLOAT, Dims(17, 1))), HasSubstr("17 dimensions"));
  Proto segment = proto_of(Proto::FLOAT, {1});
  segment.mutable_segment()->set_begin(0);
  EXPECT_THAT(error_of(segment), HasSubstr("segments"));
  Proto external = proto_of(Proto::FLOAT, {1});
  external.set_data_location(Proto::EXTERNAL);
  EXPECT_THAT(error_of(external), HasSubstr("not supported here"));
}

TEST(OnnxTensor, FromAFile) {
  const TempDir dir;
  write_file(dir / "t.pb", tensor_proto("t", floats({2, 3})).SerializeAsString());
  EXPECT_EQ(read_tensor_proto(dir / "t.pb").dims(), (Dims{2, 3}));
  write_file(dir / "bad.pb", "\xFF\xFF\xFF");
  try {
    read_tensor_proto(dir / "bad.pb");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("bad.pb: is not an ONNX tensor"));
  }
}

TEST(OnnxTensor, DTypesRoundTrip) {
  for (const DType dtype :
       {DType::kF32, DType::kF64, DType::kF16, DType::kBF16, DType::kI8, DType::kU8, DType::kI16, DType::kU16,
        DType::kI32, DType::kU32, DType::kI64, DType::kU64, DType::kBool}) {
    EXPECT_EQ(onnx_io::dtype_from_onnx(onnx_io::dtype_to_onnx(dtype)), dtype);
  }
}

}  // namespace
}  // namespace xdn::testing

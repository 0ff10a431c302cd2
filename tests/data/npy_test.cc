#include "data/npy.h"

#include <cstring>

#include "data/data_testing.h"

namespace xdn {
namespace {

using testing::expect_input_error;
using testing::TempDir;
using testing::write_bytes;

/// A file of a version whose header is this dictionary.
std::string npy(const std::string& dictionary, const std::string& data, int major = 1) {
  std::string out = "\x93NUMPY";
  out += static_cast<char>(major);
  out += '\0';
  const size_t n = dictionary.size();
  const int length_bytes = major == 1 ? 2 : 4;
  for (int i = 0; i < length_bytes; ++i) out += static_cast<char>(n >> (8 * i) & 0xFF);
  return out + dictionary + data;
}

Tensor read_text(const std::string& bytes) {
  const TempDir dir;
  write_bytes(dir / "a.npy", bytes);
  return read_npy(dir / "a.npy");
}

TEST(Npy, RoundTripsEveryType) {
  const TempDir dir;
  const auto check = [&]<class T>(T) {
    std::vector<T> values;
    for (int i = 0; i < 24; ++i) values.push_back(static_cast<T>(i * 3 + 1));
    const Tensor tensor = Tensor::of({2, 3, 4}, values);
    for (const bool aligned : {false, true}) {
      write_npy(dir / "x.npy", tensor, aligned);
      const Tensor back = read_npy(dir / "x.npy");
      EXPECT_EQ(back.dtype(), tensor.dtype());
      EXPECT_EQ(back.dims(), tensor.dims());
      EXPECT_EQ(std::memcmp(back.raw(), tensor.raw(), tensor.bytes()), 0);
    }
  };
  check(float{});
  check(double{});
  check(uint8_t{});
  check(int8_t{});
  check(int16_t{});
  check(uint16_t{});
  check(int32_t{});
  check(uint32_t{});
  check(int64_t{});
  check(uint64_t{});
  EXPECT_EQ(testing::list(dir.path()), std::vector<std::string>{"x.npy"});
}

TEST(Npy, RoundTripsScalarsVectorsAndEmptyShapes) {
  const TempDir dir;
  for (const Dims& dims : {Dims{}, Dims{5}, Dims{0}, Dims{3, 0, 2}}) {
    write_npy(dir / "x.npy", Tensor(DType::kF32, dims));
    EXPECT_EQ(read_npy(dir / "x.npy").dims(), dims);
  }
}

TEST(Npy, PageAlignedHeaderPutsDataOnAPage) {
  const std::string header = npy_header(DType::kU8, {10000, 32, 32, 3}, kNpyPage);
  EXPECT_EQ(header.size() % 4096, 0u);
  EXPECT_EQ(header.back(), '\n');
  const NpyHeader parsed = parse_npy_header(header);
  EXPECT_EQ(parsed.data_offset, header.size());
  EXPECT_EQ(parsed.dims, (Dims{10000, 32, 32, 3}));
  EXPECT_EQ(npy_header(DType::kF32, {3}).size() % 64, 0u);
}

TEST(Npy, ReadsAllVersionsAndSpellings) {
  const std::string data("\x01\x00\x00\x00\x02\x00\x00\x00", 8);
  for (const int major : {1, 2, 3}) {
    const Tensor tensor =
        read_text(npy("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }  \n", data, major));
    EXPECT_EQ(tensor.dims(), Dims{2});
    EXPECT_EQ(tensor.as_int(1), 2);
  }
  EXPECT_EQ(read_text(npy("{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"<i4\"}\n", data)).dims(),
            (Dims{2, 1}));
  EXPECT_EQ(read_text(npy("{'descr': '<u1', 'fortran_order': False, 'shape': (8,)}", data)).dtype(),
            DType::kU8);
}

TEST(Npy, RefusesWhatItCannotRead) {
  const std::string data(8, '\0');
  const auto refuse = [&](const std::string& dictionary, const std::string& part) {
    expect_input_error(part, [&] { read_text(npy(dictionary, data)); });
  };
  refuse("{'descr': '>i4', 'fortran_order': False, 'shape': (2,)}", "element type '>i4'");
  refuse("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", "element type '|O'");
  refuse("{'descr': '|b1', 'fortran_order': False, 'shape': (8,)}", "element type");
  refuse("{'descr': '<i4', 'fortran_order': True, 'shape': (2,)}", "C order");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2)}", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,-1)}", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2 1)}", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (02,)}", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,)} x", "malformed");
  refuse("{'descr': '<i4', 'fortran_order': False}", "lacks");
  refuse("{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (2,)}", "repeated key");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), 'extra': 1}", "unexpected");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (3,)}", "expected 12");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (1,)}", "expected 4");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large");
  refuse("{'descr': '<i4', 'fortran_order': False, 'shape': (999999999999999,999999999999999,9999)}",
         "larger than");
  refuse("", "malformed");
  expect_input_error("not a .npy", [] { read_text("PK\x03\x04 not numpy at all"); });
  expect_input_error("not a .npy", [] { read_text(""); });
  expect_input_error("version 4.0", [&] { read_text(npy("{}", data, 4)); });
  expect_input_error("64 KiB", [&] { read_text(npy(std::string(70000, ' '), data, 2)); });
  expect_input_error("cannot open", [] { read_npy("/nonexistent/a.npy"); });
}

TEST(Npy, EveryTruncationIsAnError) {
  const TempDir dir;
  const std::string path = dir / "x.npy";
  write_npy(path, Tensor::of<int64_t>({4}, std::vector<int64_t>{1, 2, 3, 4}));
  for (size_t n = std::filesystem::file_size(path); n-- > 0;) {
    std::filesystem::resize_file(path, n);
    expect_input_error("x.npy", [&] { read_npy(path); });
  }
}

TEST(Npy, BitFlipsInTheHeaderNeverCrash) {
  const std::string header = npy_header(DType::kI64, {4});
  for (size_t bit = 0; bit < header.size() * 8; ++bit) {
    std::string flipped = header;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    try {
      const NpyHeader parsed = parse_npy_header(flipped);
      EXPECT_LE(parsed.data_offset, header.size());
      EXPECT_EQ(parsed.dims.size(), 1u);
    } catch (const Error& error) {
      EXPECT_EQ(static_cast<int>(error.kind()), static_cast<int>(ErrorKind::kInput));
    }
  }
}

}  // namespace
}  // namespace xdn

#include "data/npy.h"

#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"

namespace xdn {
namespace {

static_assert(std::endian::native == std::endian::little, "npy data is used as it lies in the file");

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kMaxRank = 32;  // as in NumPy

struct Descr {
  std::string_view text;
  DType dtype;
};
constexpr std::array kDescrs = {
    Descr{"<f4", DType::kF32}, Descr{"<f8", DType::kF64}, Descr{"<f2", DType::kF16},
    Descr{"|u1", DType::kU8},  Descr{"|i1", DType::kI8},  Descr{"<i2", DType::kI16},
    Descr{"<u2", DType::kU16}, Descr{"<i4", DType::kI32}, Descr{"<u4", DType::kU32},
    Descr{"<i8", DType::kI64}, Descr{"<u8", DType::kU64},
};

/// The header is a Python dictionary with exactly the keys descr, fortran_order and shape, in any order.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  NpyHeader parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !descr) {
        header.dtype = parse_descr(quoted());
        descr = true;
      } else if (key == "fortran_order" && !order) {
        if (word() != "False")
          throw input_error("npy header: fortran_order is not False; only C order is read");
        order = true;
      } else if (key == "shape" && !shape) {
        header.dims = parse_shape();
        shape = true;
      } else {
        throw input_error("npy header: unexpected or repeated key '" + printable(std::string(key)) + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!descr || !order || !shape) throw input_error("npy header lacks descr, fortran_order or shape");
    skip_spaces();
    if (at_ != text_.size()) throw bad();
    return header;
  }

 private:
  static Error bad() { return input_error("npy header is malformed"); }

  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip_spaces();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) throw bad();
  }
  std::string_view quoted() {
    const char quote = accept('\'') ? '\'' : '"';
    if (quote == '"') expect('"');
    const size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) throw bad();
    const std::string_view inside = text_.substr(at_, end - at_);
    at_ = end + 1;
    return inside;
  }
  std::string_view word() {
    skip_spaces();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           ((text_[at_] >= 'a' && text_[at_] <= 'z') || (text_[at_] >= 'A' && text_[at_] <= 'Z'))) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  static DType parse_descr(std::string_view text) {
    for (const Descr& descr : kDescrs) {
      // One-byte types have no byte order: '|' and '<' mean the same there.
      if (text == descr.text) return descr.dtype;
      if (descr.text[0] == '|' && text.size() == 3 && text[0] == '<' &&
          text.substr(1) == descr.text.substr(1)) {
        return descr.dtype;
      }
    }
    throw input_error("npy element type '" + printable(std::string(text)) +
                      "' is not one of f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8, little-endian");
  }
  Dims parse_shape() {
    Dims dims;
    bool comma = true;
    expect('(');
    while (!accept(')')) {
      if (!comma || dims.size() == kMaxRank) throw bad();
      dims.push_back(number());
      comma = accept(',');
    }
    if (dims.size() == 1 && !comma) throw bad();  // "(5)" is a number in Python, not a tuple
    return dims;
  }
  int64_t number() {
    skip_spaces();
    int64_t value = 0;
    const size_t begin = at_;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (at_ - begin == 15) throw input_error("npy shape has an extent that is too large");
      value = value * 10 + (text_[at_] - '0');
    }
    if (at_ == begin || (text_[begin] == '0' && at_ - begin > 1)) throw bad();
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

NpyHeader parse_npy_header(std::span<const char> file) {
  const std::string_view text(file.data(), file.size());
  if (text.size() < 10 || text.substr(0, kMagic.size()) != kMagic) throw input_error("is not a .npy file");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(text[i])); };
  const size_t major = byte(6);
  if (major < 1 || major > 3 || byte(7) != 0) {
    throw input_error("npy version " + std::to_string(major) + "." + std::to_string(byte(7)) +
                      " is not 1.0, 2.0 or 3.0");
  }
  size_t begin = 10, length = byte(8) | byte(9) << 8;
  if (major > 1) {
    if (text.size() < 12) throw input_error("npy header is cut off");
    begin = 12;
    length |= byte(10) << 16 | byte(11) << 24;
  }
  if (length > kMaxNpyHeader - begin) throw input_error("npy header is longer than 64 KiB");
  if (length > text.size() - begin) throw input_error("npy header is cut off");
  NpyHeader header = HeaderParser(text.substr(begin, length)).parse();
  (void)element_count(header.dims, dtype_size(header.dtype));
  header.data_offset = begin + length;
  return header;
}

std::string npy_header(DType dtype, const Dims& dims, size_t alignment) {
  std::optional<std::string_view> descr;
  for (const Descr& row : kDescrs) {
    if (row.dtype == dtype) descr = row.text;
  }
  XDN_CHECK(descr.has_value() && dims.size() <= kMaxRank && alignment >= 16 &&
            alignment <= kMaxNpyHeader / 2);
  std::string dictionary = "{'descr': '" + std::string(*descr) + "', 'fortran_order': False, 'shape': (";
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i != 0) dictionary += ", ";
    dictionary += std::to_string(dims[i]);
  }
  dictionary += dims.size() == 1 ? ",), }" : "), }";
  constexpr size_t kPreamble = 10;
  const size_t used = kPreamble + dictionary.size() + 1;
  dictionary.append((alignment - used % alignment) % alignment, ' ');
  dictionary += '\n';
  std::string header(kMagic);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(dictionary.size() & 0xFF);
  header += static_cast<char>(dictionary.size() >> 8 & 0xFF);
  return header + dictionary;
}

Tensor read_npy(const std::string& path) {
  try {
    const std::string file = read_file(path);
    const NpyHeader header = parse_npy_header(file);
    const size_t bytes =
        static_cast<size_t>(element_count(header.dims, dtype_size(header.dtype))) * dtype_size(header.dtype);
    const size_t present = file.size() - header.data_offset;
    if (present != bytes) {
      throw input_error("holds " + std::to_string(present) + " bytes of data, expected " +
                        std::to_string(bytes) + " for shape " + to_string(header.dims));
    }
    Tensor tensor(header.dtype, header.dims);
    if (bytes != 0) std::memcpy(tensor.mutable_raw(), file.data() + header.data_offset, bytes);
    return tensor;
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

void write_npy(const std::string& path, const Tensor& tensor, bool page_aligned) {
  AtomicFile file(path);
  file.write(npy_header(tensor.dtype(), tensor.dims(), page_aligned ? kNpyPage : 64));
  if (tensor.bytes() != 0) file.write(tensor.raw(), tensor.bytes());
  file.commit();
}

}  // namespace xdn

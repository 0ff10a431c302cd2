#include "formats/caffe/caffe_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <set>
#include <string_view>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"

namespace xdn {
namespace {

namespace pb = google::protobuf;

// Real prototxts stay under 1 MiB; a parsed message takes up to a hundred times its text.
constexpr size_t kMaxPrototxtBytes = size_t{16} << 20;
constexpr int64_t kMaxCaffemodelBytes = std::numeric_limits<int32_t>::max();
// A NetParameter nests four messages deep; the rest is room for fields of forks.
constexpr int kMaxDepth = 32;
// Fields of the network and of its layers, blobs' contents not counted. An empty message takes two bytes on
// disk and several hundred in memory, so that their number, not the file's size, bounds what parsing
// allocates.
constexpr int kMaxFields = 1 << 20;

struct File {
  explicit File(const std::string& path) : fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!fd) throw input_error(std::string("cannot be opened: ") + std::strerror(errno));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0)
      throw input_error(std::string("cannot be read: ") + std::strerror(errno));
    regular = S_ISREG(info.st_mode);
    bytes = info.st_size;
  }

  FileDescriptor fd;
  bool regular = false;
  int64_t bytes = 0;
};

void expect_regular(const File& file) {
  if (!file.regular) throw input_error("is not a regular file");
}

/// The field that a parser's warning is about: "Message type "M" has no field named "F".", or "Extension "F"
/// is not defined or is not an extension of "M".".
std::string warned_field(const std::string& warning) {
  size_t begin = warning.find('"');
  if (warning.starts_with("Message type")) {
    for (int quotes = 1; quotes < 3 && begin != std::string::npos; ++quotes)
      begin = warning.find('"', begin + 1);
  }
  if (begin == std::string::npos) return warning;
  return warning.substr(begin + 1, warning.find('"', begin + 1) - begin - 1);
}

/// Keeps the first error and the unknown fields.
class TextErrors : public pb::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (!first_error.empty()) return;
    first_error = line < 0 ? printable(message)
                           : fmt::format("line {}, column {}: {}", line + 1, column + 1, printable(message));
  }

  void AddWarning(int /*line*/, int /*column*/, const std::string& message) override {
    constexpr size_t kMostFields = 20;
    static const std::set<std::string, std::less<>> kHarmless = {"sparse_mode"};
    if (message.find("\"xdn.caffe.Opaque\"") != std::string::npos || unknown_fields.size() >= kMostFields)
      return;
    const std::string field = warned_field(message);
    if (!kHarmless.contains(field)) unknown_fields.insert(field);
  }

  std::string first_error;
  std::set<std::string> unknown_fields;
};

/// Control bytes that no text has.
bool looks_binary(std::string_view bytes) {
  for (const char c : bytes.substr(0, 4096)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x09 || (byte > 0x0D && byte < 0x20) || byte == 0x7F) return true;
  }
  return false;
}

/// Nothing but printable ASCII and white space.
bool looks_like_text(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](char c) { return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\r' || c == '\t'; });
}

/// Weights stay in the file, and so do their gradients, which nobody asks for.
const SkeletonRule& caffemodel_rule() {
  using Blob = caffe::BlobProto;
  static const SkeletonRule kBlob{{{Blob::kDataFieldNumber, sizeof(float)},
                                   {Blob::kDiffFieldNumber, sizeof(float)},
                                   {Blob::kDoubleDataFieldNumber, sizeof(double)},
                                   {Blob::kDoubleDiffFieldNumber, sizeof(double)}},
                                  {},
                                  false};
  static const SkeletonRule kLayer{{}, {{caffe::LayerParameter::kBlobsFieldNumber, &kBlob}}, true};
  static const SkeletonRule kV1Layer{{}, {{caffe::V1LayerParameter::kBlobsFieldNumber, &kBlob}}, true};
  static const SkeletonRule kNet{{},
                                 {{caffe::NetParameter::kLayerFieldNumber, &kLayer},
                                  {caffe::NetParameter::kLayersFieldNumber, &kV1Layer}},
                                 true};
  return kNet;
}

Error not_a_caffemodel(const std::string& reason) {
  return input_error("is not a caffemodel (" + reason + ")");
}

void check_caffemodel_start(const File& file) {
  char head[512];
  const ssize_t got = ::pread(file.fd.get(), head, sizeof head, 0);
  if (got < 0) throw input_error(std::string("cannot be read: ") + std::strerror(errno));
  const std::string_view start(head, static_cast<size_t>(got));
  if (start.empty()) throw not_a_caffemodel("it is empty");
  if (start.starts_with("\x89HDF")) throw not_a_caffemodel("HDF5 weights are not supported");
  if (start.size() >= 16 && looks_like_text(start)) {
    throw not_a_caffemodel("it is text; expected NET.prototxt:WEIGHTS.caffemodel in this order");
  }
}

std::unique_ptr<const Caffemodel> parse_caffemodel(File file) {
  const pb::LogSilencer silence;
  auto model = std::make_unique<Caffemodel>(
      Caffemodel{Skeleton(std::move(file.fd), file.bytes, caffemodel_rule(), {kMaxDepth, kMaxFields}), {}});
  switch (model->file.state()) {
    case Skeleton::State::kDamaged:
      throw not_a_caffemodel("truncated or damaged at byte " + std::to_string(model->file.stopped_at()) +
                             " of " + std::to_string(file.bytes));
    case Skeleton::State::kTooManyFields:
      throw not_a_caffemodel("more than " + std::to_string(kMaxFields) + " fields");
    case Skeleton::State::kWhole:
      break;
  }
  const std::string bytes = model->file.take_bytes();
  pb::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),  // NOLINT
                              static_cast<int>(bytes.size()));
  in.SetRecursionLimit(kMaxDepth);
  if (!model->net.MergeFromCodedStream(&in) || !in.ConsumedEntireMessage())
    throw not_a_caffemodel("truncated or damaged");
  if (model->net.layer_size() == 0 && model->net.layers_size() == 0)
    throw not_a_caffemodel("it holds no layers");
  return model;
}

}  // namespace

Prototxt read_prototxt(const std::string& path) try {
  expect_regular(File(path));
  std::string text = read_file(path, kMaxPrototxtBytes);
  if (looks_binary(text)) {
    throw input_error(
        "is not a prototxt (it is binary; expected NET.prototxt:WEIGHTS.caffemodel in this order)");
  }
  const pb::LogSilencer silence;
  TextErrors errors;
  pb::TextFormat::Parser parser;
  parser.AllowUnknownField(true);
  parser.SetRecursionLimit(kMaxDepth);
  parser.RecordErrorsTo(&errors);
  caffe::NetParameter net;
  if (!parser.ParseFromString(text, &net)) {
    throw input_error("is not a prototxt (" +
                      (errors.first_error.empty() ? "unreadable" : errors.first_error) + ")");
  }
  for (const std::string& field : errors.unknown_fields) {
    log_warning(fmt::format("{}: unknown field '{}' is ignored", printable(path), printable(field)));
  }
  return {std::move(net), std::move(text)};
} catch (Error& error) {
  error.in_file(path);
  throw;
}

std::unique_ptr<const Caffemodel> read_caffemodel(const std::string& path) try {
  File file(path);
  expect_regular(file);
  if (file.bytes > kMaxCaffemodelBytes) throw not_a_caffemodel("larger than 2 GiB");
  check_caffemodel_start(file);
  return parse_caffemodel(std::move(file));
} catch (Error& error) {
  error.in_file(path);
  throw;
}

}  // namespace xdn

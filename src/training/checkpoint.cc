#include "training/checkpoint.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mmap.h"
#include "base/sha256.h"

namespace xdn::training {
namespace {

constexpr char kMagic[] = "XDNTRAIN";
constexpr size_t kMagicBytes = sizeof(kMagic) - 1, kDigestBytes = 64;
constexpr uint32_t kVersion = 1;
constexpr size_t kHeadBytes = kMagicBytes + sizeof(uint32_t) + sizeof(uint64_t);

struct Reader {
  std::span<const std::byte> bytes;

  std::span<const std::byte> take(size_t count) {
    if (count > bytes.size()) throw input_error("is cut short");
    const auto part = bytes.first(count);
    bytes = bytes.subspan(count);
    return part;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
};

Checkpoint parse(std::span<const std::byte> bytes) {
  const auto starts = [&](std::string_view text) {
    return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
  };
  if (!starts(kMagic)) throw input_error("is no checkpoint of xdn train");
  if (bytes.size() < kHeadBytes + kDigestBytes) throw input_error("is cut short");
  const auto content = bytes.first(bytes.size() - kDigestBytes);
  Reader reader{content.subspan(kMagicBytes)};
  if (const auto version = reader.number<uint32_t>(); version != kVersion) {
    throw input_error("is a checkpoint of version " + std::to_string(version) + ", expected " +
                      std::to_string(kVersion));
  }
  if (const std::string digest = sha256_hex(content.data(), content.size());
      std::memcmp(digest.data(), bytes.data() + content.size(), kDigestBytes) != 0) {
    throw input_error("is cut short or damaged: its SHA-256 does not match");
  }
  // Whoever made the sum fit could also write nonsense inside: that is refused as well.
  const auto text = reader.take(reader.number<uint64_t>());
  const char* first = reinterpret_cast<const char*>(text.data());
  Checkpoint checkpoint;
  try {
    const auto head = nlohmann::json::parse(first, first + text.size());
    checkpoint.state = head.at("state").dump();
    for (const auto& entry : head.at("tensors")) {
      const auto dtype = parse_dtype(entry.at("dtype").get<std::string>());
      if (!dtype) throw input_error("holds a tensor of an unknown type");
      const auto dims = entry.at("dims").get<Dims>();
      const auto size = static_cast<size_t>(element_count(dims, dtype_size(*dtype))) * dtype_size(*dtype);
      checkpoint.tensors.insert_or_assign(entry.at("name").get<std::string>(),
                                          Tensor::copy(*dtype, dims, reader.take(size).data(), size));
    }
  } catch (const nlohmann::json::exception&) {
    throw input_error("is damaged: its head is not understood");
  }
  if (!reader.bytes.empty()) throw input_error("is damaged: bytes behind its last tensor");
  return checkpoint;
}

}  // namespace

void write_checkpoint(const Checkpoint& checkpoint, const std::string& path) {
  nlohmann::json head;
  head["state"] = nlohmann::json::parse(checkpoint.state);
  head["tensors"] = nlohmann::json::array();
  for (const auto& [name, tensor] : checkpoint.tensors) {
    head["tensors"].push_back(
        {{"name", name}, {"dtype", dtype_name(tensor.dtype())}, {"dims", tensor.dims()}});
  }
  const std::string text = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  AtomicFile file(path);
  Sha256 sum;
  const auto put = [&](const void* data, size_t bytes) {
    file.write(data, bytes);
    sum.update(data, bytes);
  };
  const auto length = static_cast<uint64_t>(text.size());
  put(kMagic, kMagicBytes);
  put(&kVersion, sizeof(kVersion));
  put(&length, sizeof(length));
  put(text.data(), text.size());
  for (const auto& entry : checkpoint.tensors) put(entry.second.raw(), entry.second.bytes());
  file.write(sum.hex());
  file.commit();
}

Checkpoint read_checkpoint(const std::string& path) {
  try {
    const MappedFile file(path);
    return parse(file.bytes());
  } catch (Error& error) {
    throw error.in_file(path);
  }
}

}  // namespace xdn::training

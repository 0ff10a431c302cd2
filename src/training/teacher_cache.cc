#include "training/teacher_cache.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mmap.h"
#include "base/sha256.h"
#include "training/evaluation.h"
#include "training/settings.h"

namespace xdn::training {
namespace {

namespace fs = std::filesystem;

constexpr char kMagic[] = "XDNLOGIT";
constexpr size_t kMagicBytes = sizeof(kMagic) - 1, kSumBytes = 64, kDigestBytes = 32;
constexpr uint32_t kVersion = 1;

}  // namespace

std::string teacher_digest(const Teacher& teacher, const Preprocess& student, const ImageSet& images,
                           const TrainOptions& options) {
  Sha256 sum;
  const std::string text = print(teacher.graph);
  sum.update(text.data(), text.size());
  for (const NodeId id : teacher.graph.order()) {
    for (const ValueId input : teacher.graph.node(id).inputs) {
      if (!teacher.graph.is_constant(input)) continue;
      const Tensor& constant = teacher.graph.constant(input);
      sum.update(constant.raw(), constant.bytes());
    }
  }
  const Augmentation& augmentation = options.augmentation;
  const nlohmann::json rest{{"teacher", digest_of(teacher.preprocess)},
                            {"student", digest_of(student)},
                            {"images", digest_of(images, 1)},
                            {"shape", {images.size(), images.height, images.width}},
                            {"crop", augmentation.crop},
                            {"flip", augmentation.flip},
                            {"cutout", augmentation.cutout},
                            {"seed", options.seed},
                            {"batch", options.batch},
                            {"bf16", options.bf16},
                            {"cuda", best_device().is_cuda()}};
  const std::string last = rest.dump();
  sum.update(last.data(), last.size());
  return sum.hex().substr(0, kDigestBytes);
}

TeacherCache::TeacherCache(const std::string& folder, std::string digest, int64_t images, int64_t classes)
    : folder_(folder + "/" + digest), digest_(std::move(digest)), images_(images), classes_(classes) {
  XDN_CHECK(digest_.size() == kDigestBytes && images > 0 && classes > 0);
  const auto count = static_cast<size_t>(element_count({images, classes}, sizeof(float)));
  present_.resize(static_cast<size_t>(images));
  logits_.resize(count);
  std::error_code error;
  fs::create_directories(folder_, error);
  if (!fs::is_directory(folder_)) {
    throw input_error("cannot create the teacher's cache: " + (error ? error.message() : "is a file"))
        .in_file(folder_);
  }
}

std::string TeacherCache::file() const {
  char name[32];
  std::snprintf(name, sizeof name, "/epoch-%04lld", static_cast<long long>(epoch_));
  return folder_ + name;
}

void TeacherCache::start(int64_t epoch) {
  if (epoch == epoch_ && !changed_) return;
  epoch_ = epoch;
  changed_ = false;
  std::fill(present_.begin(), present_.end(), uint8_t{0});
  std::fill(logits_.begin(), logits_.end(), 0.0f);
  std::error_code ignored;
  if (!fs::exists(file(), ignored)) return;
  try {
    read();
  } catch (const Error& error) {
    log_warning(std::string(error.what()) + "; the teacher computes this epoch anew");
  }
}

void TeacherCache::read() {
  const MappedFile mapped(file());
  const auto bytes = mapped.bytes();
  const int64_t numbers[] = {epoch_, images_, classes_};
  std::string head(kMagic);
  head.append(reinterpret_cast<const char*>(&kVersion), sizeof kVersion);
  head += digest_;
  head.append(reinterpret_cast<const char*>(numbers), sizeof numbers);
  const size_t logit_bytes = logits_.size() * sizeof(float);
  const size_t content = head.size() + present_.size() + logit_bytes;
  if (bytes.size() != content + kSumBytes || std::memcmp(bytes.data(), head.data(), head.size()) != 0 ||
      std::memcmp(sha256_hex(bytes.data(), content).data(), bytes.data() + content, kSumBytes) != 0) {
    throw input_error("is cut short, damaged or of another version").in_file(file());
  }
  std::memcpy(present_.data(), bytes.data() + head.size(), present_.size());
  std::memcpy(logits_.data(), bytes.data() + head.size() + present_.size(), logit_bytes);
}

bool TeacherCache::has(std::span<const int64_t> indices) const {
  return std::all_of(indices.begin(), indices.end(),
                     [&](int64_t index) { return present_[static_cast<size_t>(index)] == 1; });
}

void TeacherCache::get(std::span<const int64_t> indices, float* dst) const {
  XDN_CHECK(has(indices));
  for (const int64_t index : indices) {
    const float* src = logits_.data() + index * classes_;
    dst = std::copy(src, src + classes_, dst);
  }
}

void TeacherCache::put(std::span<const int64_t> indices, const float* logits) {
  for (const int64_t index : indices) {
    uint8_t& present = present_[static_cast<size_t>(index)];
    if (present == 0) {
      std::copy(logits, logits + classes_, logits_.data() + index * classes_);
      present = 1;
      changed_ = true;
    }
    logits += classes_;
  }
}

void TeacherCache::save() {
  if (!changed_) return;
  AtomicFile out(file());
  Sha256 sum;
  const auto put = [&](const void* data, size_t bytes) {
    out.write(data, bytes);
    sum.update(data, bytes);
  };
  const int64_t numbers[] = {epoch_, images_, classes_};
  put(kMagic, kMagicBytes);
  put(&kVersion, sizeof kVersion);
  put(digest_.data(), digest_.size());
  put(numbers, sizeof numbers);
  put(present_.data(), present_.size());
  put(logits_.data(), logits_.size() * sizeof(float));
  out.write(sum.hex());
  out.commit();
  changed_ = false;
}

}  // namespace xdn::training

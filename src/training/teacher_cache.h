#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "training/trainer.h"

namespace xdn::training {

/// What a teacher's logits follow from, besides epoch and image: its graph, constants and preprocessing, the
/// student's preprocessing, the images with all their pixels, their augmentation, seed, batch, precision and
/// kind of device; 32 hexadecimal digits. Not the number of threads, on which the last bits depend.
std::string teacher_digest(const Teacher& teacher, const Preprocess& student, const ImageSet& images,
                           const TrainOptions& options);

/// Logits of a teacher on disk, so that several students, or several epochs of one, need them computed once.
/// An epoch is a file FOLDER/DIGEST/epoch-NNNN:
///   "XDNLOGIT" | u32 version | 32 bytes: digest | i64 epoch, images, classes | a byte per image: 1 where its
///   logits are there | f32 [images x classes], zeros where not | 64 bytes: SHA-256 of all before
/// Numbers are little-endian. One epoch lies in memory.
class TeacherCache {
 public:
  /// Throws an input error where the folder cannot be made.
  TeacherCache(const std::string& folder, std::string digest, int64_t images, int64_t classes);

  /// What is stored of this epoch of augmentation. A file that is not sound counts as none, with a warning.
  void start(int64_t epoch);
  bool has(std::span<const int64_t> indices) const;
  /// dst: [indices.size() x classes]; has(indices).
  void get(std::span<const int64_t> indices, float* dst) const;
  /// What is there already stays.
  void put(std::span<const int64_t> indices, const float* logits);
  /// The file anew, where anything was put into this epoch.
  void save();

  std::string file() const;  ///< of this epoch

 private:
  void read();

  std::string folder_, digest_;
  int64_t images_, classes_, epoch_ = -1;
  std::vector<uint8_t> present_;
  std::vector<float> logits_;
  bool changed_ = false;
};

}  // namespace xdn::training

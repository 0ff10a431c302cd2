#pragma once

#include <memory>
#include <string>

#include "data/dataset.h"
#include "data/parallel.h"

namespace xdn {

/// A pack is a folder: images.npy (uint8, N x H x W x C, data on a page boundary), labels.npy (int64) and
/// pack.json (where it came from, preprocessing, class names, SHA-256 of the data of both).
inline constexpr const char* kPackImages = "images.npy";
inline constexpr const char* kPackLabels = "labels.npy";
inline constexpr const char* kPackJson = "pack.json";

bool is_pack(const std::string& dir);

/// Maps a pack. Everything is checked but the SHA-256: fields, types, shapes, file sizes, labels.
std::unique_ptr<Dataset> open_pack(const std::string& dir, const DatasetOptions& options = {});

/// Input error unless the data have the SHA-256 in pack.json.
void verify_pack(const std::string& dir);

/// Writes all images to a new pack `dir`, which appears whole or not at all. Replaces only a pack or an empty
/// folder. What an interrupted run left beside `dir` is removed by the next.
void write_pack(const Dataset& dataset, const std::string& dir, const ImageWork& options = {});

/// Two packs: DIR-first holds the first `first` images of each class, DIR-rest the others. Both keep the data
/// set's order. Input error where one of them would be empty.
void write_split_packs(const Dataset& dataset, const std::string& dir, int64_t first,
                       const ImageWork& options = {});

/// The N of "first:N/rest"; anything else is a usage error.
int64_t parse_pack_split(const std::string& text);

}  // namespace xdn

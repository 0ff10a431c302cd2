#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace xdn::cli {

/// --subset train|test.
void add_subset_option(CLI::App& app, std::string& subset);
Split subset_of(const std::string& subset);

/// The first `images` images, decoded by as many threads as the machine grants. `done` counts them. Throws
/// the first error, and an input error where they would exceed kMostDecodedBytes.
std::vector<uint8_t> decode_all(const Dataset& dataset, int64_t images, std::atomic<int64_t>& done);
inline constexpr int64_t kMostDecodedBytes = int64_t{4} << 30;

}  // namespace xdn::cli

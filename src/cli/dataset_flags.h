#pragma once

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/model_input.h"
#include "data/dataset.h"

namespace xdn::cli {

/// --subset train|test.
void add_subset_option(CLI::App& app, std::string& subset);
Split subset_of(const std::string& subset);

/// The images at `path` as the model wants them; a pack is mapped, in its own channel order. Throws an input
/// error where the model takes other than three channels, or images of another size.
std::unique_ptr<Dataset> open_images(const std::string& path, Split split, const ModelInput& model);

/// Input error naming the data unless they have a class for each of the model's outputs. Fewer is as wrong as
/// more: some output would only learn that it is never right.
void check_classes(const ModelInput& model, const Dataset& dataset);

/// Images first ... first + count - 1 to dst, by as many threads as the machine grants. `done` counts them.
/// Throws the first error.
void read_images(const Dataset& dataset, int64_t first, int64_t count, uint8_t* dst,
                 std::atomic<int64_t>& done);
/// The first `images` images, decoded as read_images does. Throws an input error where they would exceed
/// kMostDecodedBytes.
std::vector<uint8_t> decode_all(const Dataset& dataset, int64_t images, std::atomic<int64_t>& done);
inline constexpr int64_t kMostDecodedBytes = int64_t{4} << 30;

}  // namespace xdn::cli

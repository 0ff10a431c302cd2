#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "data/npy.h"
#include "data/pack.h"
#include "data/pack_folder.h"
#include "data/parallel.h"

namespace xdn {
namespace {

/// Images of the data set that go into one pack, and their pixels in the file being written.
struct Part {
  std::vector<int64_t> indices;
  std::string selection;
  std::unique_ptr<PackFolder> folder;
  std::optional<WritableMap> images;
  uint8_t* pixels = nullptr;
};

/// Image i of the parts, counted one after the other, to its place.
void decode(const Dataset& dataset, const std::vector<Part>& parts, int64_t i) {
  const Part* part = parts.data();
  while (i >= static_cast<int64_t>(part->indices.size())) {
    i -= static_cast<int64_t>(part->indices.size());
    ++part;
  }
  dataset.read(part->indices[static_cast<size_t>(i)], 1, part->pixels + i * dataset.image_bytes());
}

/// Room for the images in the part's folder, mapped.
void create_images(Part& part, const Dataset& dataset) {
  const Dims dims{static_cast<int64_t>(part.indices.size()), dataset.height(), dataset.width(), 3};
  const auto bytes = static_cast<size_t>(element_count(dims));
  const std::string header = npy_header(DType::kU8, dims, kNpyPage);
  part.images.emplace(part.folder->file(kPackImages), header.size() + bytes);
  std::copy(header.begin(), header.end(), reinterpret_cast<char*>(part.images->data()));
  part.pixels = part.images->data() + header.size();
}

/// Labels and description, once the images are there.
void finish(Part& part, const Dataset& dataset) {
  const size_t count = part.indices.size();
  const std::string images_sha256 =
      sha256_hex(part.pixels, count * static_cast<size_t>(dataset.image_bytes()));
  part.images->sync();
  part.images.reset();

  std::vector<int64_t> labels;
  for (const int64_t i : part.indices) labels.push_back(dataset.label(i));
  write_npy(part.folder->file(kPackLabels), Tensor::of({static_cast<int64_t>(count)}, labels));

  const Geometry& geometry = dataset.geometry();
  nlohmann::ordered_json json;
  json["version"] = 1;
  json["source"] = dataset.source();
  json["selection"] = part.selection;
  json["count"] = count;
  json["height"] = geometry.height;
  json["width"] = geometry.width;
  json["color"] = dataset.bgr() ? "BGR" : "RGB";
  json["resize"] = geometry.resize;
  json["crop"] = geometry.crop;
  json["images_sha256"] = images_sha256;
  json["labels_sha256"] = sha256_hex(labels.data(), count * sizeof(int64_t));
  json["classes"] = dataset.classes();
  // Paths and folder names need not be UTF-8; JSON must.
  const std::string text = json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  AtomicFile file(part.folder->file(kPackJson));
  file.write(text + "\n");
  file.commit();
}

void write_parts(const Dataset& dataset, std::vector<Part>& parts, const ImageWork& options) {
  for (Part& part : parts) create_images(part, dataset);
  int64_t total = 0;
  for (const Part& part : parts) total += static_cast<int64_t>(part.indices.size());
  for_each_image(total, options, [&](int64_t i) { decode(dataset, parts, i); });
  for (Part& part : parts) finish(part, dataset);
  for (Part& part : parts) part.folder->commit();
}

}  // namespace

void write_pack(const Dataset& dataset, const std::string& dir, const ImageWork& options) {
  std::vector<Part> parts(1);
  parts[0].folder = std::make_unique<PackFolder>(dir);
  parts[0].selection = "all";
  for (int64_t i = 0; i < dataset.size(); ++i) parts[0].indices.push_back(i);
  write_parts(dataset, parts, options);
}

void write_split_packs(const Dataset& dataset, const std::string& dir, int64_t first,
                       const ImageWork& options) {
  const std::string number = std::to_string(first);
  std::vector<Part> parts(2);
  parts[0].selection = "first " + number + " of each class";
  parts[1].selection = "all but the first " + number + " of each class";
  std::vector<int64_t> seen(dataset.classes().size(), 0);
  for (int64_t i = 0; i < dataset.size(); ++i) {
    int64_t& count = seen[static_cast<size_t>(dataset.label(i))];
    parts[count < first ? 0 : 1].indices.push_back(i);
    ++count;
  }
  if (parts[0].indices.empty() || parts[1].indices.empty()) {
    const int64_t most = *std::max_element(seen.begin(), seen.end());
    throw input_error("split first:" + number + "/rest leaves a pack empty; the largest class has " +
                      std::to_string(most) + " images")
        .in_file(dataset.source());
  }
  const std::string stem = PackFolder::normal_path(dir);
  parts[0].folder = std::make_unique<PackFolder>(stem + "-first");
  parts[1].folder = std::make_unique<PackFolder>(stem + "-rest");
  write_parts(dataset, parts, options);
}

int64_t parse_pack_split(const std::string& text) {
  const Error wrong(ErrorKind::kUsage,
                    "split '" + printable(text) + "' is not of the form first:N/rest, N > 0");
  constexpr std::string_view kHead = "first:", kTail = "/rest";
  if (!text.starts_with(kHead) || !text.ends_with(kTail) || text.size() <= kHead.size() + kTail.size())
    throw wrong;
  const std::string digits = text.substr(kHead.size(), text.size() - kHead.size() - kTail.size());
  int64_t value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || value > 1'000'000'000) throw wrong;
    value = value * 10 + (c - '0');
  }
  if (value == 0) throw wrong;
  return value;
}

}  // namespace xdn

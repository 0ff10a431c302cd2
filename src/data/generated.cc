#include "data/generated.h"

#include <string>

#include "base/error.h"
#include "data/generated/scene.h"

namespace xdn {
namespace {

class Generated final : public Dataset {
 public:
  Generated(Split half, int64_t images, uint64_t seed) : stream_(half == Split::kTrain ? 0 : 1), seed_(seed) {
    XDN_CHECK(!is_auto(half) && images > 0);
    geometry_.height = geometry_.width = generated::kSide;
    for (const generated::Class& what : generated::kClasses) classes_.emplace_back(what.name);
    const auto count = static_cast<int64_t>(classes_.size());
    for (int64_t i = 0; i < images; ++i) labels_.push_back(i % count);
    source_ =
        std::string("generated, ") + (stream_ == 0 ? "train" : "test") + ", seed " + std::to_string(seed);
  }

  void read(int64_t first, int64_t count, uint8_t* dst) const override {
    check_range(first, count);
    for (int64_t i = first; i < first + count; ++i, dst += image_bytes()) {
      generated::Dice dice(seed_, stream_, static_cast<uint64_t>(i));
      generated::draw_scene(generated::kClasses[static_cast<size_t>(label(i))], dice, dst);
    }
  }

  std::string name(int64_t i) const override { return source_ + "[" + std::to_string(i) + "]"; }

 private:
  uint64_t stream_, seed_;
};

}  // namespace

std::unique_ptr<Dataset> generate_dataset(Split half, int64_t images, uint64_t seed) {
  return std::make_unique<Generated>(half, images, seed);
}

}  // namespace xdn

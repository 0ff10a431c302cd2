#include "training/loader.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace xdn::training {
namespace {

/// One being read, one ready, one being made.
constexpr size_t kSlots = 3;
/// Sets the order of an epoch apart from what happens to its images.
constexpr uint64_t kOrder = ~uint64_t{0};

}  // namespace

Loader::Loader(const ImageSet& images, const Preprocess& preprocess, const Options& options)
    : images_(images), options_(options), transform_(preprocess, images.width), slots_(kSlots) {
  XDN_CHECK(images.size() > 0 && options.batch > 0);
  options_.batch = std::min(options.batch, images.size());
  const size_t element = options.bf16 ? sizeof(BFloat16) : sizeof(float);
  const auto count = static_cast<size_t>(element_count({options_.batch, images.image_bytes()}, element));
  for (Slot& slot : slots_) {
    slot.pixels = allocate_aligned(count * element);
    slot.labels.resize(static_cast<size_t>(options_.batch));
    slot.indices.resize(slot.labels.size());
    slot.batch = {options_.batch, slot.pixels.get(), slot.labels, slot.indices};
    free_.push_back(&slot);
  }
  made_ = given_ = batches();
  thread_ = std::thread([this] { work(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Loader::start(int64_t epoch) {
  std::unique_lock lock(mutex_);
  ++generation_;
  made_ = batches();
  changed_.wait(lock, [this] { return !busy_; });
  for (Slot* slot : ready_) free_.push_back(slot);
  ready_.clear();
  if (reading_ != nullptr) free_.push_back(reading_);
  reading_ = nullptr;
  epoch_ = epoch;
  order_.resize(static_cast<size_t>(images_.size()));
  std::iota(order_.begin(), order_.end(), 0);
  Random random(options_.seed, static_cast<uint64_t>(epoch), kOrder);
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  made_ = given_ = 0;
  lock.unlock();
  changed_.notify_all();
}

const Batch* Loader::next() {
  std::unique_lock lock(mutex_);
  if (reading_ != nullptr) free_.push_back(reading_);
  reading_ = nullptr;
  if (given_ == batches()) return nullptr;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !ready_.empty(); });
  reading_ = ready_.front();
  ready_.pop_front();
  ++given_;
  return &reading_->batch;
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || (made_ < batches() && !free_.empty()); });
    if (stop_) return;
    Slot* slot = free_.back();
    free_.pop_back();
    const int64_t at = made_++, epoch = epoch_, generation = generation_;
    busy_ = true;
    lock.unlock();
    fill(*slot, epoch, at * options_.batch);
    lock.lock();
    busy_ = false;
    if (generation == generation_) {
      ready_.push_back(slot);
    } else {
      free_.push_back(slot);
    }
    changed_.notify_all();
  }
}

template <class Element>
void Loader::fill_pixels(Slot& slot, int64_t epoch) {
  const auto augmented = static_cast<uint64_t>(options_.augmented_as(epoch));
  auto* dst = reinterpret_cast<Element*>(slot.pixels.get());
  for (const int64_t index : slot.indices) {
    transform_.apply(images_, index, options_.augmentation,
                     Random(options_.seed, augmented, static_cast<uint64_t>(index)), dst);
    dst += images_.image_bytes();
  }
}

void Loader::fill(Slot& slot, int64_t epoch, int64_t at) {
  for (size_t i = 0; i < slot.indices.size(); ++i) {
    slot.indices[i] = order_[static_cast<size_t>(at) + i];
    slot.labels[i] = images_.labels[static_cast<size_t>(slot.indices[i])];
  }
  if (options_.bf16) {
    fill_pixels<BFloat16>(slot, epoch);
  } else {
    fill_pixels<float>(slot, epoch);
  }
}

}  // namespace xdn::training

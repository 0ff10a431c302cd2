#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "base/tensor.h"
#include "training/augment.h"

namespace xdn::training {

/// A batch as a model takes it.
struct Batch {
  int64_t size = 0;
  const void* pixels = nullptr;  ///< n h w c, f32 or bf16
  std::span<const int64_t> labels, indices;
};

/// Makes the batches of an epoch on a thread of its own, two ahead of whoever reads them. What a batch holds
/// follows from (seed, epoch) alone: the order is a random permutation of the images, another in every epoch,
/// and what happens to an image depends on its index in the set. Images left over where the batch does not
/// divide their number sit out that epoch.
class Loader {
 public:
  struct Options {
    int64_t batch = 128;
    bool bf16 = false;
    uint64_t seed = 0;
    Augmentation augmentation = {};
    int64_t augment_epochs = 0;  ///< epoch e is augmented as epoch e mod this; 0: all differently

    int64_t augmented_as(int64_t epoch) const { return augment_epochs > 0 ? epoch % augment_epochs : epoch; }
  };
  /// What `images` points to outlives the loader. A batch larger than the set is cut to it.
  Loader(const ImageSet& images, const Preprocess& preprocess, const Options& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  int64_t batch() const { return options_.batch; }
  int64_t batches() const { return images_.size() / options_.batch; }
  /// Begins an epoch; what was left of another is dropped.
  void start(int64_t epoch);
  /// The next batch, valid until the next call; null at the end of the epoch.
  const Batch* next();

 private:
  struct Slot {
    Batch batch;
    AlignedBytes pixels;
    std::vector<int64_t> labels, indices;
  };
  void work();
  void fill(Slot& slot, int64_t epoch, int64_t at);
  template <class Element>
  void fill_pixels(Slot& slot, int64_t epoch);

  const ImageSet images_;
  Options options_;
  const PixelTransform transform_;
  std::vector<int64_t> order_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> slots_;
  std::vector<Slot*> free_;
  std::deque<Slot*> ready_;
  Slot* reading_ = nullptr;
  int64_t epoch_ = 0, generation_ = 0;
  int64_t made_ = 0, given_ = 0;  ///< batches of this epoch
  bool busy_ = false, stop_ = false;
  std::thread thread_;
};

}  // namespace xdn::training

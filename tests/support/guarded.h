#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace xdn::testing {

/// `count` elements, zero at first, that end exactly where an inaccessible page begins: reading or writing
/// one too many faults.
template <class T>
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    body_ = (count * sizeof(T) + page - 1) / page * page;
    size_ = body_ + page;
    mapping_ = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping_ == MAP_FAILED) throw std::runtime_error("mmap");
    mprotect(static_cast<char*>(mapping_) + body_, page, PROT_NONE);
  }
  ~Guarded() { munmap(mapping_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return reinterpret_cast<T*>(static_cast<char*>(mapping_) + body_) - count_; }
  size_t size() const { return count_; }
  size_t bytes() const { return count_ * sizeof(T); }
  T& operator[](size_t i) { return data()[i]; }
  T* begin() { return data(); }
  T* end() { return data() + count_; }

 private:
  size_t count_, body_, size_;
  void* mapping_;
};
using GuardedFloats = Guarded<float>;
using GuardedBytes = Guarded<uint8_t>;

/// A small deterministic generator: uniform in [-1, 1), multiples of 2^-20.
class Uniform {
 public:
  explicit Uniform(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 1) {}
  uint32_t bits() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<uint32_t>(state_ >> 33);
  }
  float operator()() {
    return static_cast<float>(static_cast<int32_t>(bits() % (1u << 21)) - (1 << 20)) * 0x1p-20f;
  }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }

 private:
  uint64_t state_;
};

}  // namespace xdn::testing

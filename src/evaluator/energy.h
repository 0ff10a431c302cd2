#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace xdn {

/// Joules that the processor packages take, all programs together: the sum of the counters that Linux shows
/// under /sys/class/powercap (Intel's RAPL; AMD's processors have the same). Memory and the rest of the
/// machine are not in it.
class EnergyMeter {
 public:
  explicit EnergyMeter(const std::string& root = "/sys/class/powercap");
  ~EnergyMeter();
  EnergyMeter(const EnergyMeter&) = delete;
  EnergyMeter& operator=(const EnergyMeter&) = delete;

  /// Since the meter was made. Empty where there is no package whose counter may be read, or one ceased to
  /// be readable. The counters wrap around: while the meter lives, they are read every few seconds.
  std::optional<double> joules();

 private:
  struct Zone {
    std::string counter;  ///< path of its energy_uj
    uint64_t range;       ///< microjoules at which it begins anew
    uint64_t last, sum = 0;
  };
  void read_all();
  void watch();

  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stop_ = false, lost_ = false;
  std::vector<Zone> zones_;
  std::thread thread_;
};

}  // namespace xdn

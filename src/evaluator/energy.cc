#include "evaluator/energy.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace xdn {
namespace {

/// The least range known is 2^32 units of 15 microjoules: 65 kJ last two minutes at 500 W.
constexpr std::chrono::seconds kInterval{20};

std::optional<uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  uint64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

/// Packages are "package-0", on some processors "package-0-die-1". What else has the form intel-rapl:N
/// ("psys") includes packages, and subzones (intel-rapl:N:M) are parts of them.
bool is_package(const std::filesystem::path& zone) {
  const std::string name = zone.filename().string();
  constexpr std::string_view kPrefix = "intel-rapl:";
  if (!name.starts_with(kPrefix) || name.find(':', kPrefix.size()) != std::string::npos) return false;
  std::ifstream file(zone / "name");
  std::string what;
  return file >> what && what.starts_with("package");
}

}  // namespace

EnergyMeter::EnergyMeter(const std::string& root) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
    if (!is_package(at->path())) continue;
    const std::string counter = (at->path() / "energy_uj").string();
    const std::optional<uint64_t> range = read_number((at->path() / "max_energy_range_uj").string());
    const std::optional<uint64_t> now = read_number(counter);
    // A sum without one of the packages would be wrong. Most systems let root alone read them.
    if (!range || !now) lost_ = true;
    zones_.push_back({counter, range.value_or(0), now.value_or(0)});
  }
  if (!zones_.empty() && !lost_) thread_ = std::thread([this] { watch(); });
}

EnergyMeter::~EnergyMeter() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void EnergyMeter::watch() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, kInterval, [this] { return stop_; })) read_all();
}

void EnergyMeter::read_all() {
  for (Zone& zone : zones_) {
    const std::optional<uint64_t> now = read_number(zone.counter);
    if (!now) {
      lost_ = true;
      return;
    }
    zone.sum += *now >= zone.last ? *now - zone.last : zone.range - zone.last + *now;
    zone.last = *now;
  }
}

std::optional<double> EnergyMeter::joules() {
  const std::lock_guard lock(mutex_);
  if (zones_.empty() || lost_) return std::nullopt;
  read_all();
  if (lost_) return std::nullopt;
  double microjoules = 0;
  for (const Zone& zone : zones_) microjoules += static_cast<double>(zone.sum);
  return microjoules * 1e-6;
}

}  // namespace xdn

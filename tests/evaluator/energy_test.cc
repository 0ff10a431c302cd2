#include "evaluator/energy.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "support/shared_data.h"

namespace xdn {
namespace {

using testing::TempDir;

/// A folder as /sys/class/powercap is.
class Powercap : public ::testing::Test {
 protected:
  TempDir dir_;
  std::string root_ = dir_.path().string();

  void zone(const std::string& zone, const std::string& name, const std::string& energy) const {
    std::filesystem::create_directory(dir_ / zone);
    std::ofstream(dir_ / (zone + "/name")) << name << '\n';
    std::ofstream(dir_ / (zone + "/max_energy_range_uj")) << "1000000000\n";
    count(zone, energy);
  }
  void count(const std::string& zone, const std::string& energy) const {
    std::ofstream(dir_ / (zone + "/energy_uj")) << energy << '\n';
  }
};

TEST_F(Powercap, SumsPackages) {
  zone("intel-rapl:0", "package-0", "5000000");
  zone("intel-rapl:1", "package-1-die-0", "0");
  EnergyMeter meter(root_);
  EXPECT_EQ(meter.joules(), 0.0);
  count("intel-rapl:0", "7500000");
  count("intel-rapl:1", "1000000");
  EXPECT_DOUBLE_EQ(meter.joules().value(), 3.5);
  count("intel-rapl:1", "1250000");
  EXPECT_DOUBLE_EQ(meter.joules().value(), 3.75);
}

TEST_F(Powercap, CountersWrapAround) {
  zone("intel-rapl:0", "package-0", "999000000");
  EnergyMeter meter(root_);
  count("intel-rapl:0", "2000000");
  EXPECT_DOUBLE_EQ(meter.joules().value(), 3.0);
  count("intel-rapl:0", "999999999");
  EXPECT_NEAR(meter.joules().value(), 1000.999999, 1e-9);
  count("intel-rapl:0", "1");
  EXPECT_NEAR(meter.joules().value(), 1001.000001, 1e-9);
}

TEST_F(Powercap, PartsAndTheWholeMachineAreNoPackages) {
  zone("intel-rapl:0", "package-0", "0");
  zone("intel-rapl:0:0", "core", "0");
  zone("intel-rapl:1", "psys", "0");
  zone("intel-rapl-mmio:0", "package-0", "0");
  EnergyMeter meter(root_);
  count("intel-rapl:0", "1000000");
  count("intel-rapl:0:0", "500000");
  count("intel-rapl:1", "4000000");
  count("intel-rapl-mmio:0", "1000000");
  EXPECT_DOUBLE_EQ(meter.joules().value(), 1.0);
}

TEST_F(Powercap, NothingToRead) {
  EXPECT_FALSE(EnergyMeter(dir_ / "absent").joules().has_value());
  EXPECT_FALSE(EnergyMeter(root_).joules().has_value());
  zone("intel-rapl:0", "package-0", "0");
  zone("intel-rapl:1", "package-1", "not a number");
  EXPECT_FALSE(EnergyMeter(root_).joules().has_value()) << "a sum without one of the packages";
}

TEST_F(Powercap, LostOnTheWay) {
  zone("intel-rapl:0", "package-0", "0");
  EnergyMeter meter(root_);
  EXPECT_TRUE(meter.joules().has_value());
  std::filesystem::remove(dir_ / "intel-rapl:0/energy_uj");
  EXPECT_FALSE(meter.joules().has_value());
  count("intel-rapl:0", "5");
  EXPECT_FALSE(meter.joules().has_value()) << "what was missed is unknown";
}

}  // namespace
}  // namespace xdn

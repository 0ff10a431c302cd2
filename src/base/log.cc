#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace xdn {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    auto made = std::make_shared<spdlog::logger>("xdn", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%n: %l: %v");
    made->set_level(spdlog::level::warn);
    return made;
  }();
  return *instance;
}

}  // namespace

void log_warning(const std::string& message) { logger().warn("{}", message); }
void log_info(const std::string& message) { logger().info("{}", message); }
void set_verbose(bool on) { logger().set_level(on ? spdlog::level::info : spdlog::level::warn); }
bool verbose() { return logger().level() <= spdlog::level::info; }

}  // namespace xdn

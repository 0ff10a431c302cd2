#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

namespace xdn::testing {

/// The root of the source tree.
inline std::filesystem::path source_dir() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
}

/// The folder that holds resnet50-cifar10/ and its siblings: $XDN_MODELS, else ../shared/models beside the
/// source tree. A test that needs it and gets nullopt says GTEST_SKIP() << "skipped: no shared models".
inline std::optional<std::filesystem::path> models_dir() {
  std::error_code ignored;
  const char* set = std::getenv("XDN_MODELS");
  const std::filesystem::path dir = set != nullptr && *set != '\0'
                                        ? std::filesystem::path(set)
                                        : source_dir().parent_path() / "shared" / "models";
  if (!std::filesystem::is_directory(dir / "resnet50-cifar10", ignored)) return std::nullopt;
  return dir;
}

/// The folder that holds train/CLASS/*.jpg and test/CLASS/*.jpg: $XDN_CIFAR10, else what scripts/data
/// unpacked. A test that needs it and gets nullopt says GTEST_SKIP() << "skipped: no CIFAR-10".
inline std::optional<std::filesystem::path> cifar10_dir() {
  std::error_code ignored;
  const char* set = std::getenv("XDN_CIFAR10");
  const std::filesystem::path dir = set != nullptr && *set != '\0'
                                        ? std::filesystem::path(set)
                                        : source_dir() / "build" / "data" / "cifar10";
  if (!std::filesystem::is_directory(dir / "test" / "airplane", ignored)) return std::nullopt;
  return dir;
}

/// A fresh folder under the system's temporary folder, removed with everything in it at the end of the scope.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "xdn-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot create " + name);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace xdn::testing

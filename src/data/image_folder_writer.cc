#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/file_lock.h"
#include "data/codecs.h"
#include "data/image_folder.h"

namespace xdn {
namespace {

namespace fs = std::filesystem;

void check_classes(const Dataset& dataset) {
  const std::vector<std::string>& classes = dataset.classes();
  std::vector<bool> used(classes.size());
  for (const int64_t label : dataset.labels()) used[static_cast<size_t>(label)] = true;
  for (size_t i = 0; i < classes.size(); ++i) {
    const std::string& name = classes[i];
    const Error error = input_error("class '" + printable(name) + "' cannot be a folder: ");
    if (name.empty() || name.front() == '.' || name.find('/') != std::string::npos) {
      throw input_error(error.message() + "its name is no file name").in_file(dataset.source());
    }
    if (i > 0 && name <= classes[i - 1]) {
      throw input_error(error.message() + "its name does not come after '" + printable(classes[i - 1]) +
                        "', and folders are read in the order of their names")
          .in_file(dataset.source());
    }
    if (!used[i]) throw input_error(error.message() + "it has no image").in_file(dataset.source());
  }
}

/// A folder under a temporary name beside its final one, locked against other runs.
class PartialFolder {
 public:
  explicit PartialFolder(const std::string& dir)
      : path_(normal(dir)),
        partial_(beside(path_, ".partial")),
        lock_path_(beside(path_, ".lock")),
        lock_(lock_path_) {
    if (!lock_.held()) throw input_error("is being written by another process").in_file(path_.string());
    std::error_code error;
    if (fs::exists(path_, error) && !(fs::is_directory(path_, error) && fs::is_empty(path_, error))) {
      unlink(lock_path_.c_str());
      throw input_error("exists and is not an empty folder; images are written to a new one")
          .in_file(path_.string());
    }
    remove();
    make(partial_);
  }
  ~PartialFolder() {
    remove();
    unlink(lock_path_.c_str());
  }
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  fs::path make_class(const std::string& name) const {
    make(partial_ / name);
    return partial_ / name;
  }

  void commit() const {
    const FileDescriptor folder(open(partial_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || syncfs(folder.get()) != 0) fail("cannot write");
    if (rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot rename into place");
  }

 private:
  static fs::path normal(const std::string& dir) {
    std::error_code error;
    fs::path path = fs::absolute(dir, error).lexically_normal();
    if (path.filename().empty()) path = path.parent_path();
    if (dir.empty() || error || path.filename().empty())
      throw input_error("is no name for a folder").in_file(dir);
    return path;
  }
  static fs::path beside(const fs::path& path, const char* ending) {
    fs::path name = ".";
    name += path.filename();
    name += ending;
    return path.parent_path() / name;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw failure(what + ": " + std::strerror(errno)).in_file(path_.string());
  }
  void make(const fs::path& path) const {
    std::error_code error;
    if (!fs::create_directory(path, error)) {
      throw failure("cannot create: " + error.message()).in_file(path.string());
    }
  }
  void remove() const {
    std::error_code ignored;
    fs::remove_all(partial_, ignored);
  }

  fs::path path_, partial_;
  std::string lock_path_;
  FileLock lock_;
};

void write_file(const std::string& path, const std::vector<uint8_t>& bytes) {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file) throw failure(std::string("cannot write: ") + std::strerror(errno)).in_file(path);
}

}  // namespace

void write_image_folder(const Dataset& dataset, const std::string& dir, const ImageWork& work) {
  XDN_CHECK(!dataset.bgr());
  check_classes(dataset);
  const PartialFolder folder(dir);
  std::vector<fs::path> folders;
  for (const std::string& name : dataset.classes()) folders.push_back(folder.make_class(name));
  for_each_image(dataset.size(), work, [&](int64_t i) {
    Image image = allocate_image(dataset.height(), dataset.width());
    dataset.read(i, 1, image.rgb.data());
    char name[24];
    std::snprintf(name, sizeof name, "%08lld.png", static_cast<long long>(i));
    write_file(folders[static_cast<size_t>(dataset.label(i))] / name, to_png(image));
  });
  folder.commit();
}

}  // namespace xdn

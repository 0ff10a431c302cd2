#include "base/mmap.h"

#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "data/data_testing.h"

namespace xdn {
namespace {

using testing::expect_input_error;
using testing::TempDir;

TEST(MappedFile, HoldsTheBytes) {
  const TempDir dir;
  testing::write_bytes(dir / "f", std::string("hello"));
  const MappedFile file(dir / "f");
  ASSERT_EQ(file.size(), 5u);
  EXPECT_EQ(std::memcmp(file.data(), "hello", 5), 0);
  EXPECT_EQ(file.bytes().size(), 5u);
}

TEST(MappedFile, EmptyFileIsAnEmptySpan) {
  const TempDir dir;
  testing::write_bytes(dir / "f", std::string());
  EXPECT_EQ(MappedFile(dir / "f").size(), 0u);
}

TEST(MappedFile, Moves) {
  const TempDir dir;
  testing::write_bytes(dir / "f", std::string("hello"));
  MappedFile a(dir / "f");
  MappedFile b(std::move(a));
  EXPECT_EQ(b.size(), 5u);
  MappedFile c;
  c = std::move(b);
  EXPECT_EQ(c.size(), 5u);
  EXPECT_EQ(std::to_integer<char>(c.data()[4]), 'o');
}

TEST(MappedFile, RefusesWhatIsNoRegularFile) {
  const TempDir dir;
  expect_input_error("cannot open", [&] { MappedFile(dir / "missing"); });
  expect_input_error("not a regular file", [&] { MappedFile(dir.path().string()); });
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  expect_input_error("not a regular file", [&] { MappedFile(dir / "fifo"); });
}

}  // namespace
}  // namespace xdn

#pragma once

#include <fmt/format.h>
#include <xdn/xdn.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <new>

#include "api/image_model.h"
#include "base/error.h"

// Opaque to callers; the rest of a session stays in c_session.cc.
struct xdn_model {
  xdn::ImageModel model;
  int64_t outputs = 0;
};

namespace xdn {

/// Keeps the line for xdn_last_error and returns the status.
xdn_status set_last_error(xdn_status status, const char* line) noexcept;

/// Nothing leaves the library but a status.
template <class F>
xdn_status guarded(F&& f) noexcept {
  try {
    f();
    return XDN_OK;
  } catch (const Error& error) {
    const xdn_status status = error.kind() == ErrorKind::kInput   ? XDN_BAD_INPUT
                              : error.kind() == ErrorKind::kUsage ? XDN_BAD_ARGUMENT
                                                                  : XDN_FAILURE;
    return set_last_error(status, error.what());
  } catch (const std::bad_alloc&) {
    return set_last_error(XDN_FAILURE, "memory is short");
  } catch (const std::exception& error) {
    return set_last_error(XDN_FAILURE, error.what());
  } catch (...) {
    return set_last_error(XDN_FAILURE, "failed for an unknown reason");
  }
}

inline Error bad_argument(const std::string& message) { return Error(ErrorKind::kUsage, message); }

inline void check_pointer(const void* pointer, const char* name) {
  if (pointer == nullptr) throw bad_argument(std::string(name) + " is null");
}

/// Input error's counterpart for arguments: value must be in [least, most].
inline void check_range(int64_t value, int64_t least, int64_t most, const char* name) {
  if (value < least || value > most) {
    throw bad_argument(fmt::format("{} is {}, expected {} to {}", name, value, least, most));
  }
}

/// Size of a struct's first version: what every caller has. Here all structs are in theirs.
template <class T>
constexpr size_t kFirstSize = sizeof(T);

template <class T>
void check_size(const T* value, const char* name) {
  check_pointer(value, name);
  if (value->size < kFirstSize<T>) {
    throw bad_argument(
        fmt::format("{}.size is {}, expected {}: set it to sizeof", name, value->size, sizeof(T)));
  }
}

/// A caller's struct, of any version: fields that he does not know are 0, those that this library does not
/// know must be.
template <class T>
T read_struct(const T* given, const char* name) {
  check_size(given, name);
  T value{};
  std::memcpy(&value, given, std::min(given->size, sizeof(T)));
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (given->size > sizeof(T) &&
      std::any_of(bytes + sizeof(T), bytes + given->size, [](unsigned char byte) { return byte != 0; })) {
    throw bad_argument(
        fmt::format("{} has fields set that this libxdn does not know: it is {}", name, xdn_version()));
  }
  value.size = sizeof(T);
  return value;
}

/// Fills a caller's struct as far as it goes. The size stays the caller's.
template <class T>
void write_struct(T value, T* dst) {
  value.size = dst->size;
  std::memcpy(dst, &value, std::min(value.size, sizeof(T)));
}

}  // namespace xdn

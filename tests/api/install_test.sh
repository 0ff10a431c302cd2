#!/usr/bin/env bash
# install_test.sh SOURCE BUILD FIXTURE CC CXX [SANITIZERS]
# Installs what BUILD holds to a fresh prefix, builds examples/ from there outside the tree, with CMake and with
# pkg-config and the bare compilers, and compares what they print with what the installed xdn run prints.
set -euo pipefail
source=$1 build=$2 fixture=$3 cc=$4 cxx=$5 sanitizers=${6-}

skip() {
  echo "skipped: $*"
  exit 77
}
die() {
  echo "install_test: $*" >&2
  exit 1
}
[[ -z $sanitizers ]] || skip "programs built outside the tree would need the same sanitizers"

dir=$(mktemp -d "${TMPDIR:-/tmp}/xdn-install-XXXXXX")
trap 'rm -rf "$dir"' EXIT
prefix=$dir/prefix

# quiet COMMAND...: its output is shown only where it fails.
quiet() { "$@" >"$dir/log" 2>&1 || { cat "$dir/log" >&2; die "failed: $*"; }; }

quiet cmake --install "$build" --prefix "$prefix"
lib=$(dirname "$(find "$prefix" -name libxdn.so)")
[[ -x $prefix/bin/xdn && -f $prefix/include/xdn/xdn.h && -f $prefix/share/doc/xdn/copyright ]] ||
  die "the installed tree lacks files"

# The library shows what xdn.h declares, nothing else, and needs no libtorch.
nm -D --defined-only "$lib/libxdn.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort >"$dir/shown"
grep -o '^XDN_API[^(]*(' "$prefix/include/xdn/xdn.h" | grep -o 'xdn_[a-z0-9_]*($' | tr -d '(' | LC_ALL=C sort >"$dir/declared"
[[ -s $dir/declared ]] || die "found no functions in xdn.h"
diff "$dir/declared" "$dir/shown" >&2 || die "libxdn.so does not show just what xdn.h declares"
readelf -d "$lib/libxdn.so" >"$dir/needed"
grep -q 'SONAME.*libxdn\.so\.[0-9]' "$dir/needed" || die "libxdn.so has no versioned name"
! grep -qE 'libtorch|libc10|R(UN)?PATH|TEXTREL' "$dir/needed" || die "libxdn.so: $(cat "$dir/needed")"
[[ ! -e $prefix/bin/xdn-train ]] || ! ldd "$prefix/bin/xdn-train" | grep 'not found' || die "xdn-train lacks libraries"

cp -r "$prefix/share/doc/xdn/examples" "$dir/examples"
quiet cmake -S "$dir/examples" -B "$dir/with-cmake" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" \
  -DCMAKE_C_FLAGS="-std=c11 -pedantic -Wall -Wextra -Wconversion -Werror" \
  -DCMAKE_CXX_FLAGS="-std=c++17 -pedantic -Wall -Wextra -Wshadow -Wconversion -Werror"
quiet cmake --build "$dir/with-cmake" -j 2
programs=("$dir/with-cmake/classify" "$dir/with-cmake/classify_c")

if command -v pkg-config >/dev/null; then
  export PKG_CONFIG_PATH=$lib/pkgconfig
  read -ra flags <<<"$(pkg-config --cflags --libs xdn) -Wl,-rpath,$lib"
  quiet "$cc" "$dir/examples/classify.c" -o "$dir/c_alone" "${flags[@]}"
  quiet "$cxx" -std=c++17 "$dir/examples/classify.cc" -o "$dir/cxx_alone" "${flags[@]}"
  [[ $(pkg-config --modversion xdn) == "$("$prefix/bin/xdn" --version | cut -d' ' -f2)" ]] || die "versions differ"
  programs+=("$dir/c_alone" "$dir/cxx_alone")
else
  echo "skipped: pkg-config is not installed"
fi

if [[ -f $lib/libxdn.a ]]; then
  quiet cmake -S "$dir/examples" -B "$dir/static" -DCMAKE_PREFIX_PATH="$prefix" -DXDN_LIBRARY=xdn::xdn_static \
    -DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx"
  quiet cmake --build "$dir/static" -j 2
  ! ldd "$dir/static/classify" | grep libxdn || die "the static example needs libxdn.so"
  programs+=("$dir/static/classify" "$dir/static/classify_c")
fi

# same_answers MODEL IMAGE
same_answers() {
  "$prefix/bin/xdn" run "$1" "$2" >"$dir/run" || die "xdn run $1 failed"
  tail -n +2 "$dir/run" >"$dir/expected"
  [[ -s $dir/expected ]] || die "xdn run $1 printed no answers"
  for program in "${programs[@]}"; do
    "$program" "$1" "$2" >"$dir/answers" || die "$program $1 failed"
    diff "$dir/expected" "$dir/answers" >&2 || die "$program $1 differs from xdn run"
  done
  echo "same answers: $1"
}

"$fixture" "$dir/model"
same_answers "$dir/model/net.onnx" "$dir/model/image.jpg"
image=${XDN_CIFAR10-}/test/cat/0000.jpg
net=${XDN_MODELS-}/resnet50-cifar10
if [[ -f $image && -f $net/resnet50.caffemodel ]]; then
  same_answers "$net/resnet50.prototxt:$net/resnet50.caffemodel" "$image"
  same_answers "$source/models/resnet50-x4-int8.onnx" "$image"
else
  echo "skipped: no CIFAR-10 or no shared models"
fi

"$dir/with-cmake/batch" "$dir/model/net.onnx" 64 1 >"$dir/batch" || die "batch failed"
grep -q '^64 images in .* images/s$' "$dir/batch" || die "batch: $(cat "$dir/batch")"
grep -q 'conv' "$dir/batch" || die "batch shows no layers: $(cat "$dir/batch")"

if [[ -e $prefix/bin/xdn-train ]]; then
  # It is found beside xdn, and complains of the data, not of being absent.
  ! "$prefix/bin/xdn" train "$dir/model/net.onnx" --data "$dir/none" -o "$dir/out.onnx" 2>"$dir/complaint" ||
    die "xdn train took data that are not there"
  grep -q "$dir/none: " "$dir/complaint" || die "xdn train: $(cat "$dir/complaint")"
fi

for program in "${programs[@]}"; do
  ! "$program" "$dir/none.onnx" "$dir/model/image.jpg" 2>"$dir/complaint" || die "$program took a model that is not there"
  grep -q 'none\.onnx: ' "$dir/complaint" || die "$program: $(cat "$dir/complaint")"
done

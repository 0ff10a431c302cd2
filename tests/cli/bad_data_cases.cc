#include <unistd.h>

#include "base/tensor.h"
#include "cli/bad_input.h"
#include "cli/models.h"
#include "data/dataset.h"
#include "data/npy.h"
#include "data/pack.h"

namespace xdn::testing {
namespace {

using Command = std::vector<std::string>;

void make_pack(const TempDir& dir) {
  const TempDir images;
  write_color_folder(images / "images");
  write_pack(*open_dataset(images / "images"), dir / "pack");
}

/// `xdn eval` on a pack that was damaged.
BadCase bad_pack(const std::string& name, const std::function<void(const TempDir& dir)>& damage,
                 const std::string& expected) {
  return {name,
          [damage](const TempDir& dir) -> Command {
            const std::string model = write_onnx(dir.path().string());
            write_text(dir / "net.preprocess.json", color_preprocess());
            make_pack(dir);
            damage(dir);
            return {"eval",          model,         "--data", dir / "pack",
                    "--predictions", dir / "p.csv", "--json", dir / "j.json"};
          },
          expected};
}

/// `xdn pack` of an image folder that was spoilt.
BadCase bad_folder(const std::string& name, const std::function<void(const TempDir& dir)>& spoil,
                   const std::string& expected) {
  return {name,
          [spoil](const TempDir& dir) -> Command {
            write_color_folder(dir / "images", 2, 8, true);
            spoil(dir);
            return {"pack", dir / "images", "-o", dir / "out", "--json", dir / "j.json"};
          },
          expected};
}

/// `xdn run` on an image that was damaged.
BadCase bad_image(const std::string& name, const std::string& image,
                  const std::function<void(const std::string&)>& damage, const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const std::string model = write_onnx(dir.path().string());
            write_text(dir / "net.preprocess.json", color_preprocess());
            write_png(dir / "good.png", 8, 8, 10, 20, 200);
            const std::string path = dir / image;
            image.ends_with("png") ? write_png(path, 40, 40, 10, 20, 200)
                                   : write_jpeg(path, 40, 40, 10, 20, 200);
            damage(path);
            return {"run", model, dir / "good.png", path, "--json", dir / "j.json"};
          },
          expected};
}

/// `xdn run` with a preprocess file that was edited.
BadCase bad_preprocess(const std::string& name, const std::string& from, const std::string& to,
                       const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const std::string model = write_onnx(dir.path().string());
            std::string text = color_preprocess();
            replace(text, from, to);
            write_text(dir / "net.preprocess.json", text);
            write_png(dir / "a.png", 8, 8, 10, 20, 200);
            return {"run", model, dir / "a.png"};
          },
          expected};
}

void edit_file(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = read_text(path);
  replace(text, from, to);
  write_text(path, text);
}

std::vector<BadCase> packs() {
  const auto pack_file = [](const TempDir& dir, const char* file) {
    return dir / (std::string("pack/") + file);
  };
  return {
      bad_pack(
          "pack_images_truncated", [=](const TempDir& d) { truncate_file(pack_file(d, "images.npy"), 5000); },
          "images\\.npy: .*expected 1728"),
      bad_pack(
          "pack_images_too_long",
          [=](const TempDir& d) {
            const std::string path = pack_file(d, "images.npy");
            write_text(path, read_text(path) + "x");
          },
          "images\\.npy: "),
      bad_pack(
          "pack_images_empty", [=](const TempDir& d) { truncate_file(pack_file(d, "images.npy"), 0); },
          "images\\.npy: "),
      bad_pack(
          "pack_images_magic_flipped", [=](const TempDir& d) { flip_bit(pack_file(d, "images.npy"), 1); },
          "images\\.npy: "),
      bad_pack(
          "pack_images_header_flipped", [=](const TempDir& d) { flip_bit(pack_file(d, "images.npy"), 9, 7); },
          "images\\.npy: "),
      bad_pack(
          "pack_images_data_flipped", [=](const TempDir& d) { flip_bit(pack_file(d, "images.npy"), 5000); },
          "images\\.npy: .*SHA-256"),
      bad_pack(
          "pack_images_missing",
          [=](const TempDir& d) { std::filesystem::remove(pack_file(d, "images.npy")); },
          "images\\.npy: .*No such file"),
      bad_pack(
          "pack_images_of_the_wrong_type",
          [=](const TempDir& d) {
            write_npy(pack_file(d, "images.npy"), Tensor(DType::kF32, {9, 8, 8, 3}), true);
          },
          "images\\.npy: .*f32.*expected u8"),
      bad_pack(
          "pack_labels_truncated",
          [=](const TempDir& d) {
            const std::string path = pack_file(d, "labels.npy");
            truncate_file(path, read_text(path).size() - 8);
          },
          "labels\\.npy: "),
      bad_pack(
          "pack_labels_out_of_range",
          [=](const TempDir& d) {
            write_npy(pack_file(d, "labels.npy"), Tensor::of<int64_t>({9}, {0, 1, 2, 0, 1, 3, 0, 1, 2}),
                      true);
          },
          "labels\\.npy: .*label 5 is 3"),
      bad_pack(
          "pack_labels_negative",
          [=](const TempDir& d) {
            write_npy(pack_file(d, "labels.npy"), Tensor::of<int64_t>({9}, {0, 1, 2, 0, -1, 2, 0, 1, 2}),
                      true);
          },
          "labels\\.npy: .*label 4 is -1"),
      bad_pack(
          "pack_labels_changed",
          [=](const TempDir& d) {
            write_npy(pack_file(d, "labels.npy"), Tensor::of<int64_t>({9}, {0, 1, 2, 0, 1, 2, 0, 1, 1}),
                      true);
          },
          "labels\\.npy: .*SHA-256"),
      bad_pack(
          "pack_json_truncated", [=](const TempDir& d) { truncate_file(pack_file(d, "pack.json"), 20); },
          "pack\\.json: "),
      bad_pack(
          "pack_json_missing", [=](const TempDir& d) { std::filesystem::remove(pack_file(d, "pack.json")); },
          "pack: .*pack\\.json"),
      bad_pack(
          "pack_json_count_changed",
          [=](const TempDir& d) { edit_file(pack_file(d, "pack.json"), "\"count\": 9", "\"count\": 10"); },
          "images\\.npy: .*expected u8\\[10,8,8,3\\]"),
      bad_pack(
          "pack_json_count_negative",
          [=](const TempDir& d) { edit_file(pack_file(d, "pack.json"), "\"count\": 9", "\"count\": -9"); },
          "pack\\.json: .*count"),
      bad_pack(
          "pack_json_count_huge",
          [=](const TempDir& d) {
            edit_file(pack_file(d, "pack.json"), "\"count\": 9", "\"count\": 9223372036854775807");
          },
          "pack\\.json: .*count"),
      bad_pack(
          "pack_json_wrong_type",
          [=](const TempDir& d) { edit_file(pack_file(d, "pack.json"), "\"count\": 9", "\"count\": \"9\""); },
          "pack\\.json: .*count"),
      bad_pack(
          "pack_images_is_a_folder",
          [=](const TempDir& d) {
            std::filesystem::remove(pack_file(d, "images.npy"));
            std::filesystem::create_directory(pack_file(d, "images.npy"));
          },
          "images\\.npy: "),
  };
}

std::vector<BadCase> folders() {
  return {
      bad_folder(
          "folder_with_a_stray_file", [](const TempDir& d) { write_text(d / "images/notes.txt", "hello"); },
          "notes\\.txt: "),
      bad_folder(
          "class_folder_with_a_stray_file",
          [](const TempDir& d) { write_text(d / "images/red/notes.txt", "hello"); }, "red/notes\\.txt: "),
      bad_folder(
          "folder_with_an_empty_class",
          [](const TempDir& d) { std::filesystem::create_directory(d / "images/white"); }, "white: "),
      bad_folder(
          "empty_folder",
          [](const TempDir& d) {
            std::filesystem::remove_all(d / "images");
            std::filesystem::create_directory(d / "images");
          },
          "images: "),
      bad_folder(
          "missing_folder", [](const TempDir& d) { std::filesystem::remove_all(d / "images"); },
          "images: no such file"),
      bad_folder(
          "folder_is_a_file",
          [](const TempDir& d) {
            std::filesystem::remove_all(d / "images");
            write_text(d / "images", "hello");
          },
          "images: "),
      bad_folder(
          "text_file_named_jpg", [](const TempDir& d) { write_text(d / "images/red/9.jpg", "hello"); },
          "red/9\\.jpg: "),
      bad_folder(
          "empty_file_named_jpg", [](const TempDir& d) { write_text(d / "images/red/9.jpg", ""); },
          "red/9\\.jpg: "),
      bad_folder(
          "truncated_jpeg_in_a_folder", [](const TempDir& d) { truncate_file(d / "images/red/1.jpg", 400); },
          "red/1\\.jpg: "),
      bad_folder(
          "image_of_another_size",
          [](const TempDir& d) { write_jpeg(d / "images/red/9.jpg", 9, 8, 1, 2, 3); }, "red/9\\.jpg: "),
      bad_folder(
          "dangling_symlink_in_a_folder",
          [](const TempDir& d) { std::filesystem::create_symlink("nowhere.jpg", d / "images/red/9.jpg"); },
          "red/9\\.jpg: "),
      bad_folder(
          "folder_inside_a_class",
          [](const TempDir& d) { std::filesystem::create_directory(d / "images/red/more"); }, "red/more: "),
      {"cifar10_batch_cut",
       [](const TempDir& d) -> Command {
         write_text(d / "cifar/test_batch.bin", std::string(3073 * 2 - 1, '\1'));
         return {"pack", d / "cifar", "-o", d / "out"};
       },
       "test_batch\\.bin: "},
      {"cifar10_label_out_of_range",
       [](const TempDir& d) -> Command {
         write_text(d / "cifar/test_batch.bin", std::string(3073 * 2, '\x0A'));
         return {"pack", d / "cifar", "-o", d / "out"};
       },
       "test_batch\\.bin: .*label"},
  };
}

std::vector<BadCase> images() {
  return {
      bad_image(
          "jpeg_truncated", "bad.jpg", [](const std::string& path) { truncate_file(path, 500); },
          "bad\\.jpg: "),
      bad_image(
          "jpeg_cut_near_the_end", "bad.jpg",
          [](const std::string& path) { truncate_file(path, read_text(path).size() - 20); }, "bad\\.jpg: "),
      // After SOI and APP0 comes DQT, FF DB; it becomes SOS, before any frame.
      bad_image(
          "jpeg_marker_flipped", "bad.jpg", [](const std::string& path) { flip_bit(path, 21); },
          "bad\\.jpg: "),
      bad_image(
          "jpeg_only_magic", "bad.jpg", [](const std::string& path) { truncate_file(path, 3); },
          "bad\\.jpg: "),
      bad_image(
          "png_truncated", "bad.png", [](const std::string& path) { truncate_file(path, 200); },
          "bad\\.png: "),
      bad_image(
          "png_data_flipped", "bad.png",
          [](const std::string& path) { flip_bit(path, read_text(path).size() / 2); }, "bad\\.png: "),
      bad_image(
          "png_magic_flipped", "bad.png", [](const std::string& path) { flip_bit(path, 0); }, "bad\\.png: "),
      bad_image(
          "png_enormous", "bad.png",
          [](const std::string& path) {
            // Width and height in IHDR; its CRC is wrong then, too.
            std::string text = read_text(path);
            text.replace(16, 8, std::string("\x7F\xFF\xFF\xFF\x7F\xFF\xFF\xFF", 8));
            write_text(path, text);
          },
          "bad\\.png: "),
      bad_image(
          "image_missing", "bad.png", [](const std::string& path) { std::filesystem::remove(path); },
          "bad\\.png: .*No such file"),
      bad_image(
          "image_is_a_folder", "bad.png",
          [](const std::string& path) {
            std::filesystem::remove(path);
            std::filesystem::create_directory(path);
          },
          "bad\\.png: "),
      bad_image(
          "image_is_empty", "bad.png", [](const std::string& path) { truncate_file(path, 0); },
          "bad\\.png: "),
      {"image_unreadable",
       [](const TempDir& dir) -> Command {
         const std::string model = write_onnx(dir.path().string());
         write_text(dir / "net.preprocess.json", color_preprocess());
         // Permissions do not stop root; a name that leads to itself stops everybody.
         std::filesystem::create_symlink("loop.png", dir / "loop.png");
         return {"run", model, dir / "loop.png"};
       },
       "loop\\.png: .*cannot open"},
  };
}

std::vector<BadCase> preprocess_files() {
  const std::string file = "net\\.preprocess\\.json: ";
  return {
      bad_preprocess("preprocess_syntax", "\"color\":", "\"color\"", file),
      bad_preprocess("preprocess_color", "\"RGB\"", "\"HSV\"", file + ".*color"),
      bad_preprocess("preprocess_mean_of_two", "\"mean\": [0.5, ", "\"mean\": [", file + ".*mean"),
      bad_preprocess("preprocess_mean_of_text", "\"mean\": [0.5", "\"mean\": [\"a\"", file + ".*mean"),
      bad_preprocess("preprocess_std_zero", "\"std\": [0.25", "\"std\": [0", file + ".*std"),
      bad_preprocess("preprocess_scale_is_text", "\"scale\": 0.00392156862745098", "\"scale\": \"1/255\"",
                     file + ".*scale"),
      bad_preprocess("preprocess_scale_overflows", "\"scale\": 0.00392156862745098", "\"scale\": 1e999",
                     file),
      bad_preprocess("preprocess_negative_size", "\"size\": [8", "\"size\": [-8", file + ".*size"),
      bad_preprocess("preprocess_classes_of_numbers", "\"blue\"", "1", file + ".*classes"),
      bad_preprocess("preprocess_for_another_size", "\"size\": [8, 8]", "\"size\": [16, 16]",
                     "net\\.onnx: takes images of 8x8, .* 16x16"),
      bad_preprocess("preprocess_for_another_input", "{", "{\"input\": \"pixels\", ",
                     "net\\.onnx: has the input 'image', .*'pixels'"),
      {"preprocess_broken_and_fuse",
       [](const TempDir& dir) -> Command {
         const std::string model = write_onnx(dir.path().string());
         write_text(dir / "net.preprocess.json", "{");
         return {"fuse", model, "-o", dir / "out.onnx", "--level", "none"};
       },
       file},
  };
}

}  // namespace

std::vector<BadCase> bad_data_cases() {
  std::vector<BadCase> all;
  for (const auto& part : {packs(), folders(), images(), preprocess_files()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace xdn::testing

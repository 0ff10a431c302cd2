#include "cli/bad_input.h"
#include "cli/models.h"
#include "data/dataset.h"
#include "data/pack.h"

namespace xdn::testing {
namespace {

using Command = std::vector<std::string>;

void write_pack_of(const std::string& folder, const std::string& pack) {
  write_pack(*open_dataset(folder), pack);
}

/// A model, an image and an image folder that fit each other.
struct GoodFiles {
  std::string model, image, folder;
  explicit GoodFiles(const TempDir& dir, int side = 8) {
    model = write_onnx(dir.path().string());
    write_text(dir / "net.preprocess.json", color_preprocess());
    image = dir / "a.png";
    write_png(image, side, side, 10, 20, 200);
    folder = dir / "images";
    write_color_folder(folder, 2, side);
  }
};

BadCase run_with(const std::string& name, const Command& more, const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const GoodFiles good(dir);
            Command command{"run", good.model, good.image};
            command.insert(command.end(), more.begin(), more.end());
            return command;
          },
          expected};
}

BadCase eval_with(const std::string& name, const Command& more, const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const GoodFiles good(dir);
            Command command{"eval", good.model, "--data", good.folder};
            command.insert(command.end(), more.begin(), more.end());
            return command;
          },
          expected};
}

BadCase pack_with(const std::string& name, const Command& more, const std::string& expected) {
  return {name,
          [=](const TempDir& dir) -> Command {
            const GoodFiles good(dir);
            Command command{"pack", good.folder};
            command.insert(command.end(), more.begin(), more.end());
            return command;
          },
          expected};
}

std::vector<BadCase> options() {
  return {
      run_with("isa_unknown", {"--isa", "mmx"}, "--isa: expected one of ref, avx2, .*not 'mmx'"),
      run_with("precision_unknown", {"--precision", "fp8"}, "--precision: expected one of"),
      run_with("fusion_unknown", {"--fusion", "cold"}, "--fusion: expected one of"),
      run_with("tile_negative", {"--tile", "-1"}, "--tile: expected a whole number"),
      run_with("tile_zero", {"--tile", "0"}, "--tile: expected a whole number"),
      run_with("threads_not_a_number", {"--threads", "two"}, "--threads: expected a whole number"),
      run_with("threads_fraction", {"--threads", "1.5"}, "--threads: expected a whole number"),
      run_with("threads_huge", {"--threads", "99999999999999999999"}, "--threads: expected a whole number"),
      run_with("top_zero", {"--top", "0"}, "--top: expected a whole number"),
      run_with("size_malformed", {"--size", "8x"}, "--size: expected N or HxW"),
      run_with("mean_of_two", {"--mean", "1,2"}, "--mean: expected 1 or 3 numbers"),
      run_with("mean_not_finite", {"--mean", "nan"}, "--mean: expected a finite number"),
      run_with("std_zero", {"--std", "0"}, "--std: expected numbers other than 0"),
      run_with("color_unknown", {"--color", "GRB"}, "--color: expected one of RGB, BGR"),
      run_with("int8_of_a_float_model", {"--precision", "int8"}, "net\\.onnx: .*xdn quantize"),
      run_with("crop_larger_than_the_image", {"--resize", "4", "--crop", "8"}, "(a\\.png: )?.*crop"),
      run_with("json_into_a_missing_folder", {"--json", "nowhere/run.json"}, "nowhere/run\\.json: .*folder"),
      run_with("json_over_a_folder", {"--json", "images"}, "images: is a folder"),
      run_with("json_over_a_device", {"--json", "/dev/null"}, "/dev/null: is not a regular file"),
      run_with("classes_missing", {"--classes", "absent.txt"}, "absent\\.txt: .*No such file"),
      eval_with("predictions_into_a_missing_folder", {"--predictions", "nowhere/p.csv"},
                "nowhere/p\\.csv: .*folder"),
      eval_with("limit_zero", {"--limit", "0"}, "--limit: expected a whole number"),
      eval_with("batch_negative", {"--batch", "-5"}, "--batch: expected a whole number"),
      pack_with("pack_without_output", {}, "--output is required"),
      pack_with("pack_into_a_missing_folder", {"-o", "nowhere/out"}, "nowhere/out: .*folder"),
      pack_with("pack_split_malformed", {"-o", "out", "--split", "first"}, "first:N/rest"),
      pack_with("pack_split_leaves_nothing", {"-o", "out", "--split", "first:2/rest"}, ""),
      pack_with("pack_crop_beyond_the_image", {"-o", "out", "--crop", "9"}, "images/blue/0\\.png: "),
      pack_with("pack_workers_zero", {"-o", "out", "--workers", "0"}, "--workers: expected a whole number"),
      run_with("one_option_twice", {"--top", "1", "--top", "2"}, "--top"),
      run_with("option_without_value", {"--top"}, "--top"),
  };
}

std::vector<BadCase> combinations() {
  return {
      {"bench_scenario_unknown",
       [](const TempDir& dir) -> Command {
         return {"bench", GoodFiles(dir).model, "--scenario", "server"};
       },
       "--scenario: expected one of offline, single-stream"},
      {"bench_batch_beyond_memory",
       [](const TempDir& dir) -> Command {
         return {"bench", GoodFiles(dir).model, "--batch", "1000000000"};
       },
       "--batch: "},
      {"bench_size_below_the_window",
       [](const TempDir& dir) -> Command {
         const std::string model = write_onnx(dir.path().string(), [](onnx::ModelProto& m) {
           onnx::AttributeProto& pads = attribute_named(node_named(m, "conv"), "pads");
           for (int i = 0; i < 4; ++i) pads.set_ints(i, 0);
         });
         return {"bench", model, "--size", "2"};
       },
       "net\\.onnx: layer 'conv': "},
      {"pack_over_something_else",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_text(dir / "out/precious.txt", "keep me");
         return {"pack", good.folder, "-o", dir / "out"};
       },
       "out: "},
      {"pack_over_a_file",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_text(dir / "out", "keep me");
         return {"pack", good.folder, "-o", dir / "out"};
       },
       "out: "},
      {"labels_beyond_the_outputs",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_png(good.folder + "/violet/0.png", 8, 8, 200, 10, 200);
         return {"eval", good.model, "--data", good.folder};
       },
       "images: image 6 has the label 3, .* 3 outputs"},
      {"pack_of_another_size",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_color_folder(dir / "images9", 1, 9);
         write_pack_of(dir / "images9", dir / "pack9");
         return {"eval", good.model, "--data", dir / "pack9"};
       },
       "pack9: .*9x9.*8x8"},
      {"online_from_a_pack",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_pack_of(good.folder, dir / "pack");
         return {"eval", good.model, "--data", dir / "pack", "--online"};
       },
       "pack: .*--online expects images"},
      {"model_without_image_input",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_onnx(dir.path().string(), [](onnx::ModelProto& m) {
           onnx::GraphProto& graph = *m.mutable_graph();
           graph.mutable_node()->DeleteSubrange(0, 4);
           graph.mutable_node(0)->set_input(0, "image");
           auto& dims =
               *graph.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim();
           dims.DeleteSubrange(2, 2);
         });
         return {"run", good.model, good.image};
       },
       "net\\.onnx: has the input 'image' of shape \\[N,3\\], expected an image"},
      {"classes_of_another_count",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         write_text(dir / "names.txt", "one\ntwo\n");
         return {"run", good.model, good.image, "--classes", dir / "names.txt"};
       },
       "names\\.txt: holds 2 class names, .* 3 outputs"},
      {"info_dot_and_text",
       [](const TempDir& dir) -> Command {
         return {"info", GoodFiles(dir).model, "--dot", "--text"};
       },
       "--text|--dot"},
      {"eval_of_a_model_as_data",
       [](const TempDir& dir) -> Command {
         const GoodFiles good(dir);
         return {"eval", good.model, "--data", good.model};
       },
       "net\\.onnx: is not a data set"},
  };
}

std::vector<BadCase> fusing() {
  const auto fuse = [](const std::string& name, const Command& more, const std::string& expected) -> BadCase {
    return {name,
            [=](const TempDir& dir) -> Command {
              Command command{"fuse", GoodFiles(dir).model};
              command.insert(command.end(), more.begin(), more.end());
              return command;
            },
            expected};
  };
  return {
      fuse("fuse_unknown_pass", {"-o", "out.onnx", "--disable", "fuse_all"},
           "unknown pass 'fuse_all'; the passes are eliminate_dead"),
      fuse("fuse_force_what_is_free", {"-o", "out.onnx", "--level", "aggressive", "--force", "fuse_relu"},
           "no pass to force: 'fuse_relu'; the passes are reserve_and_merge"),
      fuse("fuse_force_at_a_level_without", {"-o", "out.onnx", "--force", "dirac_shortcut"},
           "no pass 'dirac_shortcut': this level has none that can be forced"),
      fuse("fuse_dump_to_nowhere", {"-o", "out.onnx", "--dump", "nowhere"}, "nowhere: is not a folder"),
      fuse("fuse_level_unknown", {"-o", "out.onnx", "--level", "deep"}, "--level: expected one of none"),
      fuse("fuse_into_a_missing_folder", {"-o", "nowhere/out.onnx", "--level", "none"},
           "nowhere/out\\.onnx: .*folder"),
      fuse("fuse_over_its_input", {"-o", "net.onnx", "--level", "none"}, "net\\.onnx: is the model itself"),
      fuse("fuse_to_an_unknown_form", {"-o", "out.tflite", "--level", "none"}, "out\\.tflite"),
      fuse("fuse_over_a_folder", {"-o", "images", "--level", "none"}, "images"),
      fuse("fuse_without_output", {"--level", "none"}, "--output is required"),
  };
}

}  // namespace

std::vector<BadCase> bad_usage_cases() {
  std::vector<BadCase> all;
  for (const auto& part : {options(), combinations(), fusing()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace xdn::testing

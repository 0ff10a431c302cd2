#include <fstream>

#include "cli/bad_input.h"
#include "cli/models.h"

namespace xdn::testing {
namespace {

using Command = std::vector<std::string>;
using Edit = std::function<void(onnx::ModelProto&)>;

/// `xdn info` on the network after an edit.
BadCase edited(const std::string& name, const Edit& edit, const std::string& expected) {
  return {name,
          [edit](const TempDir& dir) -> Command {
            return {"info", write_onnx(dir.path().string(), edit)};
          },
          "net\\.onnx: " + expected};
}

/// `xdn info` on the network's file after its bytes were changed.
BadCase damaged(const std::string& name, const std::function<void(const std::string& path)>& damage,
                const std::string& expected) {
  return {name,
          [damage](const TempDir& dir) -> Command {
            const std::string path = write_onnx(dir.path().string());
            damage(path);
            return {"info", path};
          },
          "net\\.onnx: " + expected};
}

void set_ints(onnx::ModelProto& model, const std::string& node, const std::string& attribute,
              const std::vector<int64_t>& values) {
  onnx::AttributeProto& a = attribute_named(node_named(model, node), attribute);
  a.clear_ints();
  for (const int64_t v : values) a.add_ints(v);
}

void set_input_dim(onnx::ModelProto& model, int axis, int64_t value) {
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(axis)
      ->set_dim_value(value);
}

/// conv.w stands in another file.
void set_external(onnx::ModelProto& model, const std::string& location, const std::string& offset = "0",
                  const std::string& length = "324") {
  onnx::TensorProto& w = initializer_named(model, "conv.w");
  w.clear_raw_data();
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  const auto put = [&](const char* key, const std::string& value) {
    onnx::StringStringEntryProto* entry = w.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  put("location", location);
  put("offset", offset);
  put("length", length);
}

std::vector<BadCase> files() {
  return {
      damaged(
          "onnx_empty", [](const std::string& path) { truncate_file(path, 0); }, ""),
      damaged(
          "onnx_truncated", [](const std::string& path) { truncate_file(path, 300); },
          "is not an ONNX model"),
      damaged(
          "onnx_cut_by_one", [](const std::string& path) { truncate_file(path, read_text(path).size() - 1); },
          "is not an ONNX model"),
      damaged(
          "onnx_first_bit_flipped", [](const std::string& path) { flip_bit(path, 0, 2); }, ""),
      damaged(
          "onnx_graph_length_flipped", [](const std::string& path) { flip_bit(path, 4, 6); }, ""),
      damaged(
          "onnx_is_text", [](const std::string& path) { write_text(path, "once upon a time"); }, ""),
      damaged(
          "onnx_is_zeros", [](const std::string& path) { write_text(path, std::string(4096, '\0')); }, ""),
      {"onnx_missing",
       [](const TempDir&) -> Command {
         return {"info", "absent.onnx"};
       },
       "absent\\.onnx: .*No such file"},
      {"onnx_is_a_folder",
       [](const TempDir& dir) -> Command {
         std::filesystem::create_directory(dir / "net.onnx");
         return {"info", dir / "net.onnx"};
       },
       "net\\.onnx: "},
      {"onnx_dangling_symlink",
       [](const TempDir& dir) -> Command {
         std::filesystem::create_symlink("nowhere.onnx", dir / "net.onnx");
         return {"info", dir / "net.onnx"};
       },
       "net\\.onnx: .*No such file"},
      {"model_of_unknown_form",
       [](const TempDir&) -> Command {
         return {"info", "net.pb"};
       },
       "net\\.pb: .*expected model\\.onnx or net\\.prototxt:weights\\.caffemodel"},
  };
}

std::vector<BadCase> structure() {
  return {
      edited(
          "onnx_unknown_op", [](onnx::ModelProto& m) { node_named(m, "relu").set_op_type("Frobnicate"); },
          "layer 'relu': .*Frobnicate.*not supported"),
      edited(
          "onnx_unknown_domain",
          [](onnx::ModelProto& m) {
            node_named(m, "relu").set_domain("com.example");
            onnx::OperatorSetIdProto* opset = m.add_opset_import();
            opset->set_domain("com.example");
            opset->set_version(1);
          },
          ".*com\\.example"),
      edited(
          "onnx_opset_99", [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(99); },
          ".*opset.*99"),
      edited(
          "onnx_no_graph", [](onnx::ModelProto& m) { m.clear_graph(); }, ""),
      edited(
          "onnx_cycle", [](onnx::ModelProto& m) { node_named(m, "conv").set_input(0, "flatten.y"); }, ""),
      edited(
          "onnx_dangling_input", [](onnx::ModelProto& m) { node_named(m, "relu").set_input(0, "nobody"); },
          "layer 'relu': .*nobody"),
      edited(
          "onnx_missing_output",
          [](onnx::ModelProto& m) { m.mutable_graph()->mutable_output(0)->set_name("nobody"); }, ".*nobody"),
      edited(
          "onnx_no_outputs", [](onnx::ModelProto& m) { m.mutable_graph()->clear_output(); }, ".*output"),
      edited(
          "onnx_duplicate_values", [](onnx::ModelProto& m) { node_named(m, "relu").set_output(0, "conv.y"); },
          ".*conv\\.y"),
      edited(
          "onnx_too_few_inputs",
          [](onnx::ModelProto& m) { node_named(m, "conv").mutable_input()->RemoveLast(); },
          "layer 'conv': .*input"),
      edited(
          "onnx_control_bytes_in_a_name",
          [](onnx::ModelProto& m) {
            node_named(m, "relu").set_op_type("Bad\nOp");
            node_named(m, "relu").set_name("re\033[31m\nlu");
          },
          "layer 're\\?\\[31m\\?lu': "),
  };
}

std::vector<BadCase> shapes() {
  return {
      edited(
          "onnx_weights_of_the_wrong_shape",
          [](onnx::ModelProto& m) {
            onnx::TensorProto& w = initializer_named(m, "conv.w");
            w.set_dims(0, 9);
            w.set_dims(1, 1);
          },
          "layer 'conv': "),
      edited(
          "onnx_weights_too_short",
          [](onnx::ModelProto& m) { initializer_named(m, "conv.w").mutable_raw_data()->resize(320); },
          ".*conv\\.w"),
      edited(
          "onnx_negative_weight_dims",
          [](onnx::ModelProto& m) {
            initializer_named(m, "conv.w").set_dims(0, -3);
            initializer_named(m, "conv.w").set_dims(1, -3);
          },
          ".*conv\\.w"),
      edited(
          "onnx_huge_weight_dims",
          [](onnx::ModelProto& m) {
            for (int i = 0; i < 4; ++i) initializer_named(m, "conv.w").set_dims(i, int64_t{1} << 40);
          },
          ".*conv\\.w"),
      edited(
          "onnx_zero_stride",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "strides", {0, 1});
          },
          "layer 'conv': .*stride"),
      edited(
          "onnx_negative_dilation",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "dilations", {1, -1});
          },
          "layer 'conv': .*dilation"),
      edited(
          "onnx_huge_stride",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "strides", {INT64_MAX, INT64_MIN});
          },
          "layer 'conv': "),
      edited(
          "onnx_huge_pads",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "pads", {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX});
          },
          "layer 'conv': "),
      edited(
          "onnx_negative_pads",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "pads", {-9, 0, 0, 0});
          },
          "layer 'conv': "),
      edited(
          "onnx_too_few_pads",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "pads", {1, 1});
          },
          "layer 'conv': "),
      edited(
          "onnx_group_zero",
          [](onnx::ModelProto& m) { attribute_named(node_named(m, "conv"), "group").set_i(0); },
          "layer 'conv': .*group"),
      edited(
          "onnx_group_does_not_divide",
          [](onnx::ModelProto& m) { attribute_named(node_named(m, "conv"), "group").set_i(2); },
          "layer 'conv': .*group"),
      edited(
          "onnx_attribute_of_the_wrong_type",
          [](onnx::ModelProto& m) {
            onnx::AttributeProto& group = attribute_named(node_named(m, "conv"), "group");
            group.clear_i();
            group.set_type(onnx::AttributeProto::STRING);
            group.set_s("one");
          },
          "layer 'conv': .*group"),
      edited(
          "onnx_kernel_shape_disagrees",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "kernel_shape", {5, 5});
          },
          "layer 'conv': "),
      edited(
          "onnx_window_larger_than_the_image",
          [](onnx::ModelProto& m) {
            set_ints(m, "conv", "dilations", {8, 8});
          },
          "layer 'conv': "),
      edited(
          "onnx_negative_input_dims", [](onnx::ModelProto& m) { set_input_dim(m, 2, -8); }, ""),
      edited(
          "onnx_huge_input_dims",
          [](onnx::ModelProto& m) {
            set_input_dim(m, 2, int64_t{1} << 40);
            set_input_dim(m, 3, int64_t{1} << 40);
          },
          ""),
      edited(
          "onnx_wrong_channels", [](onnx::ModelProto& m) { set_input_dim(m, 1, 4); }, "layer 'conv': "),
      edited(
          "onnx_fc_does_not_fit",
          [](onnx::ModelProto& m) {
            initializer_named(m, "fc.w").set_dims(0, 9);
            initializer_named(m, "fc.w").set_dims(1, 1);
          },
          "layer 'fc': "),
  };
}

std::vector<BadCase> external_data() {
  const auto beside = [](const std::string& name, const std::string& location, const std::string& offset,
                         const std::string& length, const std::string& expected) -> BadCase {
    return {name,
            [=](const TempDir& dir) -> Command {
              write_text(dir / "secret.bin", std::string(1000, 's'));
              std::filesystem::create_directory(dir / "model");
              write_text(dir / "model/w.bin", std::string(324, '\0'));
              std::filesystem::create_symlink("../secret.bin", dir / "model/link.bin");
              std::filesystem::create_directory(dir / "model/folder");
              const std::string where = location == "ABSOLUTE" ? dir / "secret.bin" : location;
              return {"info", write_onnx(dir / "model", [&](onnx::ModelProto& m) {
                        set_external(m, where, offset, length);
                      })};
            },
            "net\\.onnx: " + expected};
  };
  return {
      beside("onnx_external_above_the_folder", "../secret.bin", "0", "324", ".*secret\\.bin"),
      beside("onnx_external_absolute", "ABSOLUTE", "0", "324", ".*secret\\.bin"),
      beside("onnx_external_symlink", "link.bin", "0", "324", ".*link\\.bin"),
      beside("onnx_external_folder", "folder", "0", "324", ".*folder"),
      beside("onnx_external_missing", "absent.bin", "0", "324", ".*absent\\.bin"),
      beside("onnx_external_too_short", "w.bin", "4", "324", ".*w\\.bin"),
      beside("onnx_external_wrong_length", "w.bin", "0", "100", ".*conv\\.w|.*w\\.bin"),
      beside("onnx_external_negative_offset", "w.bin", "-4", "324", ".*offset"),
      beside("onnx_external_huge_offset", "w.bin", "18446744073709551615", "324", ".*offset|.*w\\.bin"),
  };
}

}  // namespace

std::vector<BadCase> bad_onnx_cases() {
  std::vector<BadCase> all;
  for (const auto& part : {files(), structure(), shapes(), external_data()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace xdn::testing

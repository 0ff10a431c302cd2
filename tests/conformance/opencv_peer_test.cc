// Caffe models through OpenCV's dnn module and through the reference executor: two readers of one format.

#include <cstring>
#include <opencv2/core.hpp>
#include <opencv2/dnn.hpp>

#include "formats/caffe_test_support.h"
#include "fusion/pipeline.h"
#include "support/golden_images.h"

namespace xdn::testing {
namespace {

Tensor run_opencv(const std::string& prototxt, const std::string& caffemodel, const Tensor& input,
                  const std::string& blob) {
  cv::setNumThreads(1);
  cv::dnn::Net net = cv::dnn::readNetFromCaffe(prototxt, caffemodel);
  net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
  const std::vector<int> sizes(input.dims().begin(), input.dims().end());
  cv::Mat mat(sizes, CV_32F);
  std::memcpy(mat.data, input.raw(), input.bytes());
  net.setInput(mat);
  const cv::Mat out = net.forward(blob).clone();
  Dims dims;
  for (int i = 0; i < out.dims; ++i) dims.push_back(out.size[i]);
  return Tensor::of<float>(dims, std::span(out.ptr<float>(), out.total()));
}

/// A network from "data" of shape [1, dims...] whose only output is "out", on a batch of two. Layers given as
/// name and blob shapes get weights.
void expect_same(const Dims& image, const std::string& layers,
                 const std::vector<std::pair<std::string, std::vector<Dims>>>& weights = {},
                 bool positive = false) {
  Dims one{1}, two{2};
  one.insert(one.end(), image.begin(), image.end());
  two.insert(two.end(), image.begin(), image.end());
  WeightsFile file;
  for (const auto& [name, shapes] : weights) file.add_noise(name, shapes);
  // Variances and the factor of a BatchNorm must be positive.
  for (auto& entry : *file.net().mutable_layer()) {
    if (!entry.name().starts_with("bn")) continue;
    for (int blob = 1; blob < entry.blobs_size(); ++blob) {
      for (float& value : *entry.mutable_blobs(blob)->mutable_data()) value = std::abs(value) + 0.5F;
    }
  }
  const TempDir dir;
  write_text(dir / "net.prototxt", input_layer(one) + layers);
  write_text(dir / "net.caffemodel", file.bytes());
  Tensor input = noise_tensor(two, 77);
  if (positive) {
    for (float& value : input.mutable_data<float>()) value = std::abs(value) + 0.1F;
  }

  const Graph graph = import_caffe(dir / "net.prototxt", dir / "net.caffemodel");
  ASSERT_EQ(output_names(graph), std::vector<std::string>{"out"});
  const Tensor ours = run_one(graph, {input});
  const Tensor theirs = run_opencv(dir / "net.prototxt", dir / "net.caffemodel", input, "out");
  ASSERT_EQ(ours.dims(), theirs.dims());
  expect_close_to_largest(ours, theirs, 1e-4);
}

std::string conv(const std::string& bottom, const std::string& top, const std::string& param) {
  return layer("Convolution", {bottom}, {top}, "convolution_param { " + param + " }");
}

TEST(OpencvPeer, ResNet50) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto dir = *models / "resnet50-cifar10";
  const std::string prototxt = (dir / "resnet50.prototxt").string(),
                    weights = (dir / "resnet50.caffemodel").string();
  const auto preprocess = find_preprocess((dir / "resnet50").string());
  ASSERT_TRUE(preprocess);
  const Tensor golden = read_npy((dir / "golden_logits.npy").string());
  const Tensor theirs = run_opencv(prototxt, weights, golden_input(*models, *preprocess, 64), "fc10");
  ASSERT_EQ(theirs.dims(), golden.dims());
  expect_close_to_largest(theirs, golden, 1e-3);
  const auto ours =
      run_all(import_caffe(prototxt, weights), {golden_input(*models, *preprocess, kGoldenImages)});
  expect_close_to_largest(ours.at("fc10"), theirs, 1e-3);
}

/// Our ResNet-50 files, as converted and as fused, give the logits that came with the original.
TEST(OpencvPeer, ReadsTheResNet50ThatWeWrite) {
  const auto models = models_dir();
  if (!models) GTEST_SKIP() << "skipped: no shared models";
  const auto dir = *models / "resnet50-cifar10";
  Graph graph = import_caffe((dir / "resnet50.prototxt").string(), (dir / "resnet50.caffemodel").string());
  const Tensor input = golden_input(*models, find_preprocess((dir / "resnet50").string()).value(), 64);
  const Tensor golden = read_npy((dir / "golden_logits.npy").string());
  const TempDir out;
  for (const bool fused : {false, true}) {
    SCOPED_TRACE(fused ? "traditional" : "none");
    if (fused) run_passes(graph, traditional_passes());
    export_caffe(graph, out / "net.prototxt", out / "net.caffemodel");
    expect_close_to_largest(run_opencv(out / "net.prototxt", out / "net.caffemodel", input, "fc10"), golden,
                            1e-3);
  }
}

/// A graph of one output, y, as a file: OpenCV's y and ours.
void expect_same_written(const std::string& text) {
  const Graph graph = parse_graph(text);
  const TempDir dir;
  export_caffe(graph, dir / "net.prototxt", dir / "net.caffemodel");
  Dims dims = graph.value(graph.inputs()[0]).shape;
  dims[0] = 2;
  const Tensor input = noise_tensor(dims, 3);
  const Tensor theirs = run_opencv(dir / "net.prototxt", dir / "net.caffemodel", input, "y");
  expect_close_to_largest(run_one(graph, {input}), theirs, 1e-4);
}

TEST(OpencvPeer, ReadsLayersThatWeWrite) {
  const std::string image =
      "graph { input %x f32[N,4,9,8] const %w f32[4,4,3,3] random(1) const %b f32[4] random(2) "
      "const %s f32[4,1,1] random(3) const %two f32[] [2] "
      "const %v f32[4] [0.5, 1, 2, 0.25] ";
  for (const char* nodes :
       {"%a = Conv(%x, %w, %b, %x) kernel=[3,3] pads_begin=[1,1] pads_end=[1,1] act=relu %y = Sigmoid(%a)",
        "%y = Conv(%x, %w, %b) kernel=[3,3] strides=[2,2] pads_begin=[0,0] pads_end=[1,1]",
        "%y = MaxPool(%x) kernel=[3,3] strides=[2,2]", "%a = BatchNorm(%x, %b, %v, %b, %v) %y = Sigmoid(%a)",
        "%p = MaxPool(%x) kernel=[3,3] strides=[2,2] pads_begin=[1,1] pads_end=[1,1] %y = Relu(%p)",
        "%p = AveragePool(%x) kernel=[2,2] strides=[2,2] %y = Sigmoid(%p)",
        "%a = Mul(%x, %s) %y = Add(%a, %s)", "%a = Mul(%x, %two) %c = Add(%a, %two) %y = Pow(%c, %two)",
        "%a = Sub(%x, %s) %y = Sigmoid(%a)", "%a = Sigmoid(%x) %y = Sub(%x, %a)",
        "%a = Slice(%x) axes=[1] starts=[1] ends=[3] steps=[1] %y = Sigmoid(%a)",
        "%g = GlobalAveragePool(%x) %f = Flatten(%g) %y = Gemm(%f, %m) trans_b=true",
        "%y = Reshape(%x) shape=[N,8,36]", "%a = Relu(%x) %y = Concat(%a, %x) axis=1"}) {
    SCOPED_TRACE(nodes);
    expect_same_written(image + "const %m f32[3,4] random(4) " + nodes + " output %y }");
  }
}

TEST(OpencvPeer, Convolution) {
  expect_same({5, 11, 9}, conv("data", "out", "num_output: 7 kernel_size: 3 pad: 1 stride: 2"),
              {{"out", {{7, 5, 3, 3}, {7}}}});
  expect_same(
      {5, 11, 9},
      conv(
          "data", "out",
          "num_output: 7 kernel_h: 1 kernel_w: 5 pad_h: 0 pad_w: 2 stride_h: 2 stride_w: 1 bias_term: false"),
      {{"out", {{7, 5, 1, 5}}}});
}

TEST(OpencvPeer, GroupedAndDilatedConvolution) {
  expect_same({6, 10, 10}, conv("data", "out", "num_output: 9 kernel_size: 3 pad: 1 group: 3"),
              {{"out", {{9, 2, 3, 3}, {9}}}});
  expect_same({6, 10, 10}, conv("data", "out", "num_output: 6 kernel_size: 3 pad: 1 group: 6"),
              {{"out", {{6, 1, 3, 3}, {6}}}});
  expect_same({4, 12, 12}, conv("data", "out", "num_output: 3 kernel_size: 3 pad: 2 dilation: 2"),
              {{"out", {{3, 4, 3, 3}, {3}}}});
}

TEST(OpencvPeer, PoolingRoundsUp) {
  for (const char* pool : {"MAX", "AVE"}) {
    for (const char* window :
         {"kernel_size: 3 stride: 2", "kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1",
          "kernel_size: 2 stride: 2 pad: 1", "kernel_size: 3 stride: 1 pad: 1",
          "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1"}) {
      for (const Dims& image : {Dims{3, 8, 8}, Dims{3, 7, 9}}) {
        SCOPED_TRACE(std::string(pool) + " " + window + " " + to_string(image));
        expect_same(image, layer("Pooling", {"data"}, {"out"},
                                 std::string("pooling_param { pool: ") + pool + " " + window + " }"));
      }
    }
    SCOPED_TRACE(pool);
    expect_same({3, 6, 5}, layer("Pooling", {"data"}, {"out"},
                                 std::string("pooling_param { pool: ") + pool + " global_pooling: true }"));
  }
}

TEST(OpencvPeer, Lrn) {
  // Without k: OpenCV does not read it from Caffe files.
  expect_same({7, 4, 5},
              layer("LRN", {"data"}, {"out"}, "lrn_param { local_size: 5 alpha: 0.5 beta: 0.75 }"));
  expect_same({3, 6, 7},
              layer("LRN", {"data"}, {"out"},
                    "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }"));
}

TEST(OpencvPeer, Eltwise) {
  const std::string branches = conv("data", "a", "num_output: 4 kernel_size: 1") +
                               conv("data", "b", "num_output: 4 kernel_size: 1") +
                               conv("data", "c", "num_output: 4 kernel_size: 1");
  const std::vector<Dims> blobs{{4, 3, 1, 1}, {4}};
  for (const char* param :
       {"operation: SUM", "coeff: 0.5 coeff: -1 coeff: 2", "operation: PROD", "operation: MAX"}) {
    SCOPED_TRACE(param);
    expect_same(
        {3, 5, 4},
        branches + layer("Eltwise", {"a", "b", "c"}, {"out"}, std::string("eltwise_param { ") + param + " }"),
        {{"a", blobs}, {"b", blobs}, {"c", blobs}});
  }
}

TEST(OpencvPeer, Activations) {
  expect_same({3, 4, 4}, layer("ReLU", {"data"}, {"out"}));
  expect_same({3, 4, 4}, layer("ReLU", {"data"}, {"out"}, "relu_param { negative_slope: 0.2 }"));
  expect_same({3, 4, 4}, layer("PReLU", {"data"}, {"out"}), {{"out", {{3}}}});
  expect_same({3, 4, 4}, layer("Sigmoid", {"data"}, {"out"}));
  expect_same({3, 4, 4}, layer("Power", {"data"}, {"out"}, "power_param { power: 2 scale: 3 shift: 0.5 }"));
  expect_same({3, 4, 4}, layer("Power", {"data"}, {"out"}, "power_param { power: 0.5 }"), {}, true);
}

TEST(OpencvPeer, BatchNormAndScaleInPlace) {
  expect_same({3, 6, 6},
              conv("data", "conv", "num_output: 4 kernel_size: 3 bias_term: false") +
                  layer("BatchNorm", {"conv"}, {"conv"}, "batch_norm_param { eps: 0.001 }", "bn_conv") +
                  layer("Scale", {"conv"}, {"conv"}, "scale_param { bias_term: true }", "scale_conv") +
                  layer("ReLU", {"conv"}, {"conv"}, "", "relu") +
                  layer("Pooling", {"conv"}, {"out"}, "pooling_param { kernel_size: 3 stride: 2 }"),
              {{"conv", {{4, 3, 3, 3}}}, {"bn_conv", {{4}, {4}, {1}}}, {"scale_conv", {{4}, {4}}}});
}

TEST(OpencvPeer, ScaleAndBias) {
  expect_same({3, 4, 4}, layer("Scale", {"data"}, {"out"}), {{"out", {{3}}}});
  expect_same({3, 4, 4}, layer("Scale", {"data"}, {"out"}, "scale_param { bias_term: true }"),
              {{"out", {{3}, {3}}}});
}

TEST(OpencvPeer, ConcatAndSlice) {
  expect_same({6, 4, 4}, layer("Slice", {"data"}, {"a", "b", "c"},
                               "slice_param { slice_point: 1 slice_point: 3 }", "cut") +
                             layer("Concat", {"c", "a", "b"}, {"out"}));
  expect_same({6, 4, 4}, layer("Slice", {"data"}, {"a", "b"}, "slice_param { axis: 2 }", "cut") +
                             layer("Concat", {"b", "a"}, {"out"}, "concat_param { axis: 3 }"));
}

TEST(OpencvPeer, FlattenReshapeInnerProductSoftmax) {
  expect_same({3, 4, 5}, layer("Flatten", {"data"}, {"out"}));
  expect_same({3, 4, 5}, layer("Flatten", {"data"}, {"out"}, "flatten_param { axis: 2 }"));
  expect_same({3, 4, 5},
              layer("Reshape", {"data"}, {"out"}, "reshape_param { shape { dim: 0 dim: -1 dim: 2 } }"));
  expect_same({3, 4, 5}, layer("Reshape", {"data"}, {"out"},
                               "reshape_param { axis: 1 num_axes: 2 shape { dim: 2 dim: 6 } }"));
  expect_same({3, 4, 5},
              layer("InnerProduct", {"data"}, {"fc"}, "inner_product_param { num_output: 8 }") +
                  layer("Softmax", {"fc"}, {"out"}),
              {{"fc", {{8, 60}, {8}}}});
  expect_same({4, 3, 3}, layer("Softmax", {"data"}, {"out"}));
}

TEST(OpencvPeer, SmallResidualNetwork) {
  expect_same({3, 16, 16},
              conv("data", "conv1", "num_output: 8 kernel_size: 3 pad: 1 bias_term: false") +
                  layer("BatchNorm", {"conv1"}, {"conv1"}, "", "bn1") +
                  layer("Scale", {"conv1"}, {"conv1"}, "scale_param { bias_term: true }", "scale1") +
                  layer("ReLU", {"conv1"}, {"conv1"}, "", "relu1") +
                  conv("conv1", "left", "num_output: 8 kernel_size: 1 stride: 2") +
                  conv("conv1", "right", "num_output: 8 kernel_size: 3 pad: 1 stride: 2") +
                  layer("Eltwise", {"left", "right"}, {"sum"}) +
                  layer("ReLU", {"sum"}, {"sum"}, "", "relu2") +
                  layer("Pooling", {"sum"}, {"pool"}, "pooling_param { pool: AVE global_pooling: true }") +
                  layer("InnerProduct", {"pool"}, {"fc"}, "inner_product_param { num_output: 5 }") +
                  layer("Dropout", {"fc"}, {"fc"}, "", "drop") + layer("Softmax", {"fc"}, {"out"}),
              {{"conv1", {{8, 3, 3, 3}}},
               {"bn1", {{8}, {8}, {1}}},
               {"scale1", {{8}, {8}}},
               {"left", {{8, 8, 1, 1}, {8}}},
               {"right", {{8, 8, 3, 3}, {8}}},
               {"fc", {{5, 8}, {5}}}});
}

}  // namespace
}  // namespace xdn::testing

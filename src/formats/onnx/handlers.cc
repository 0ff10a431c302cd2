#include "formats/onnx/handlers.h"

#include <iterator>

namespace xdn::onnx_io {
namespace {

struct Row {
  const char* op;
  Handler handler;
};

/// THE list of ONNX operators; Equal, Min, Size and Where only in shape computations.
constexpr Row kRows[] = {
    {"Add", import_binary<OpType::kAdd>},
    {"AveragePool", import_average_pool},
    {"BatchNormalization", import_batch_normalization},
    {"Cast", import_cast},
    {"Clip", import_clip},
    {"Concat", import_concat},
    {"Constant", import_constant},
    {"ConstantOfShape", import_constant_of_shape},
    {"Conv", import_conv},
    {"DequantizeLinear", import_dequantize_linear},
    {"Div", import_binary<OpType::kDiv>},
    {"Dropout", import_dropout},
    {"Equal", import_equal},
    {"Flatten", import_flatten},
    {"Gather", import_gather},
    {"Gemm", import_gemm},
    {"GlobalAveragePool", import_global_average_pool},
    {"HardSigmoid", import_hard_sigmoid},
    {"HardSwish", import_unary<OpType::kHardSwish>},
    {"Identity", import_identity},
    {"LRN", import_lrn},
    {"LeakyRelu", import_leaky_relu},
    {"MatMul", import_binary<OpType::kMatMul>},
    {"Max", import_variadic<OpType::kMax>},
    {"MaxPool", import_max_pool},
    {"Min", import_min},
    {"Mul", import_binary<OpType::kMul>},
    {"PRelu", import_prelu},
    {"Pad", import_pad},
    {"Pow", import_binary<OpType::kPow>},
    {"QuantizeLinear", import_quantize_linear},
    {"ReduceMean", import_reduce_mean},
    {"Relu", import_unary<OpType::kRelu>},
    {"Reshape", import_reshape},
    {"Shape", import_shape},
    {"Sigmoid", import_unary<OpType::kSigmoid>},
    {"Size", import_size},
    {"Slice", import_slice},
    {"Softmax", import_softmax},
    {"Split", import_split},
    {"Squeeze", import_squeeze},
    {"Sub", import_binary<OpType::kSub>},
    {"Sum", import_variadic<OpType::kAdd>},
    {"Transpose", import_transpose},
    {"Unsqueeze", import_unsqueeze},
    {"Where", import_where},
};

}  // namespace

Handler find_handler(const std::string& op_type) {
  for (const Row& row : kRows) {
    if (op_type == row.op) return row.handler;
  }
  return nullptr;
}

}  // namespace xdn::onnx_io

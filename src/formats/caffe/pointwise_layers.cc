#include <cmath>

#include "base/error.h"
#include "formats/caffe/layer_builder.h"

namespace xdn {
namespace {

void expect_finite(float value, const char* field) {
  if (!std::isfinite(value)) throw input_error(std::string(field) + " is not finite");
}

ValueId times(LayerBuilder& builder, ValueId x, float coeff, size_t i) {
  if (coeff == 1.0F) return x;
  const std::string suffix = "coeff" + std::to_string(i);
  return builder.emit(OpType::kMul, NoAttrs{}, {x, builder.scalar(suffix, coeff)}, suffix);
}

}  // namespace

void convert_relu(LayerBuilder& builder) {
  builder.expect(1, 1);
  const float slope = builder.layer.relu_param().negative_slope();
  expect_finite(slope, "negative_slope");
  if (slope == 0.0F) {
    builder.emit_top(OpType::kRelu, NoAttrs{}, {builder.bottom(0)});
  } else {
    builder.emit_top(OpType::kLeakyRelu, LeakyReluAttrs{slope}, {builder.bottom(0)});
  }
}

void convert_sigmoid(LayerBuilder& builder) {
  builder.expect(1, 1);
  builder.emit_top(OpType::kSigmoid, NoAttrs{}, {builder.bottom(0)});
}

void convert_clip(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.clip_param();
  if (!param.has_min() || !param.has_max()) throw input_error("clip_param needs min and max");
  if (!(param.min() <= param.max())) throw input_error("clip_param has min above max");
  builder.needs("clip");
  builder.emit_top(OpType::kClip, ClipAttrs{param.min(), param.max()}, {builder.bottom(0)});
}

/// (shift + scale * x) ^ power, leaving out what changes nothing.
void convert_power(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto& param = builder.layer.power_param();
  struct Step {
    OpType type;
    float operand;
    const char* name;
  };
  std::vector<Step> steps;
  if (param.scale() != 1.0F) steps.push_back({OpType::kMul, param.scale(), "scale"});
  if (param.shift() != 0.0F) steps.push_back({OpType::kAdd, param.shift(), "shift"});
  if (param.power() != 1.0F) steps.push_back({OpType::kPow, param.power(), "power"});
  ValueId x = builder.bottom(0);
  for (const Step& step : steps) {
    expect_finite(step.operand, step.name);
    const ValueId operand = builder.scalar(step.name, step.operand);
    if (&step == &steps.back()) {
      builder.emit_top(step.type, NoAttrs{}, {x, operand});
    } else {
      x = builder.emit(step.type, NoAttrs{}, {x, operand}, step.name);
    }
  }
  if (steps.empty()) builder.emit_top(OpType::kIdentity, NoAttrs{}, {x});
}

void convert_softmax(LayerBuilder& builder) {
  builder.expect(1, 1);
  const auto rank = builder.shape(builder.bottom(0)).size();
  SoftmaxAttrs attrs;
  attrs.axis = builder.axis_within_image(builder.layer.softmax_param().axis(), rank);
  builder.emit_top(OpType::kSoftmax, attrs, {builder.bottom(0)});
}

void convert_dropout(LayerBuilder& builder) {
  builder.expect(1, 1);
  builder.emit_top(OpType::kIdentity, NoAttrs{}, {builder.bottom(0)});
}

void convert_eltwise(LayerBuilder& builder) {
  builder.expect(2, INT32_MAX);
  const auto& param = builder.layer.eltwise_param();
  const size_t count = builder.bottom_count();
  const bool sum = param.operation() == caffe::EltwiseParameter::SUM;
  const bool weighted = param.coeff_size() > 0;
  if (weighted && !sum) throw input_error("coeff is for SUM only");
  if (weighted && static_cast<size_t>(param.coeff_size()) != count) {
    throw input_error("has " + std::to_string(param.coeff_size()) + " values of coeff, expected " +
                      std::to_string(count));
  }
  for (size_t i = 1; i < count; ++i) {
    const Dims &first = builder.shape(builder.bottom(0)), &other = builder.shape(builder.bottom(i));
    if (first != other) {
      throw input_error("bottoms have shapes " + to_string(first) + " and " + to_string(other) +
                        ", expected equal ones");
    }
  }
  const auto coeff = [&](size_t i) { return weighted ? param.coeff(static_cast<int>(i)) : 1.0F; };
  for (size_t i = 0; i < count; ++i) expect_finite(coeff(i), "coeff");
  ValueId x = times(builder, builder.bottom(0), coeff(0), 0);
  for (size_t i = 1; i < count; ++i) {
    const bool minus = sum && coeff(i) == -1.0F;
    const ValueId y = minus ? builder.bottom(i) : times(builder, builder.bottom(i), coeff(i), i);
    OpType type = OpType::kAdd;
    if (param.operation() == caffe::EltwiseParameter::PROD) type = OpType::kMul;
    if (param.operation() == caffe::EltwiseParameter::MAX) type = OpType::kMax;
    if (minus) type = OpType::kSub;
    if (i + 1 == count) {
      builder.emit_top(type, NoAttrs{}, {x, y});
    } else {
      x = builder.emit(type, NoAttrs{}, {x, y}, std::to_string(i));
    }
  }
}

}  // namespace xdn

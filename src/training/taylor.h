#pragma once

#include "pruning/importance.h"
#include "training/trainer.h"

namespace xdn::training {

/// How many images taylor_scores looks at when asked for `images`: whole batches, at least one, at most an
/// epoch's.
int64_t taylor_images(const ImageSet& data, const TrainOptions& options, int64_t images);

/// What every filter of every Conv, Gemm and MatMul with constant weights is worth to the loss, to first
/// order (Molchanov et al., CVPR 2019): the mean over batches of
///   (dL/dz)^2, z a gate of value 1 that multiplies what the filter gives.
/// Where a BatchNorm alone reads the layer, the gate stands behind it (and behind Caffe's Scale):
///   dL/dz = gamma * dL/dgamma + beta * dL/dbeta
/// elsewhere before residual and activation: dL/dz = sum w * dL/dw + b * dL/db over the filter's weights and
/// the layer's own bias; a bias that an Add of its own adds stands behind the gate, which does not scale it.
/// L is the loss of training, on augmented training images, that of distillation where there is a
/// teacher; BatchNorms normalise by their running statistics.
///
/// Of the options, those of loss, batch, augmentation, precision, seed and threads count. Equal arguments
/// give equal numbers. Throws input errors as train() does, and for a quantized graph or one without such
/// layers; a failure naming the layer where a gradient is
/// not finite.
pruning::LayerScores taylor_scores(Graph graph, const Preprocess& preprocess, const ImageSet& data,
                                   const std::optional<Teacher>& teacher, const TrainOptions& options,
                                   int64_t images);

}  // namespace xdn::training

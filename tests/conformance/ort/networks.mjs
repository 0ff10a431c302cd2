// networks.mjs XDN_RUN_MODEL SCRATCH resnet20 | resnet56        logits against ONNX Runtime's, every executor
// networks.mjs XDN_RUN_MODEL SCRATCH converted XDN              the Caffe ResNet-50, converted, in ONNX Runtime

import {spawnSync} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync} from 'node:fs';
import path from 'node:path';
import {normalise, pixelMap, readNpy} from '../../../bench/peers/images.mjs';
import {root} from '../../../bench/peers/ort.mjs';
import {expectEqual, runOrt, runXdn} from './judge.mjs';
import {withOutput} from './onnx_writer.mjs';

const kTolerance = 1e-3;  // of the largest logit
const [program, scratch, which, xdn] = process.argv.slice(2);
const models = path.resolve(process.env.XDN_MODELS || path.join(root, '../shared/models'));
const resnet50 = path.join(models, 'resnet50-cifar10');
if (!existsSync(path.join(resnet50, 'golden_images.npy'))) {
  console.log('skipped: no shared models');
  process.exit(0);
}

/** The golden images as the model at stem wants them. */
function goldenInput(stem, images) {
  const {dims: [, h, w, c], data} = readNpy(path.join(resnet50, 'golden_images.npy'));
  const bytes = data.subarray(0, images * h * w * c);
  return {type: 'f32', dims: [images, c, h, w], data: normalise(bytes, [c, h, w], pixelMap(stem, c))};
}

const image = (input, i) => {
  const size = input.data.length / input.dims[0];
  return {type: 'f32', dims: [1, ...input.dims.slice(1)], data: input.data.slice(i * size, (i + 1) * size)};
};

/** ONNX Runtime on one image at a time where the file fixes a batch of 1. */
async function ortLogits(model, input, output) {
  const rows = [];
  for (let i = 0; i < input.dims[0]; ++i) {
    const results = await runOrt(model, [image(input, i)]);
    rows.push(output ? results[output] : Object.values(results)[0]);
  }
  const data = new Float32Array(rows.length * rows[0].data.length);
  rows.forEach((row, i) => data.set(row.data, i * row.data.length));
  return {type: 'f32', dims: [rows.length, rows[0].data.length], data};
}

function supported(isa) {
  const flags = readFileSync('/proc/cpuinfo', 'utf8');
  return isa === 'ref' || (isa === 'avx2' ? /\bavx2\b/ : /\bavx512vl\b/).test(flags);
}

async function compareLogits() {
  const stem = path.join(models, `${which}-cifar10`, which);
  const images = 16;
  const input = goldenInput(stem, images);
  const theirs = await ortLogits(`${stem}.onnx`, input);
  const reference = runXdn(program, scratch, `${stem}.onnx`, [input])[0];
  console.log(`${which}: reference: ${expectEqual(reference, theirs, kTolerance).toExponential(1)}`);
  for (const isa of ['ref', 'avx2', 'avx512'].filter(supported)) {
    const planned = runXdn(program, scratch, `${stem}.onnx`, [input], ['--executor', isa])[0];
    console.log(`${which}: ${isa}: ${expectEqual(planned, theirs, kTolerance).toExponential(1)}`);
  }
}

/** At every level, and with the shortcuts that rewrites can take into convolutions taken. */
async function compareConverted() {
  mkdirSync(scratch, {recursive: true});
  const onnx = path.join(scratch, 'converted.onnx');
  const spec = `${path.join(resnet50, 'resnet50.prototxt')}:${path.join(resnet50, 'resnet50.caffemodel')}`;
  const golden = readNpy(path.join(resnet50, 'golden_logits.npy'));
  const input = goldenInput(path.join(resnet50, 'resnet50'), golden.dims[0]);
  for (const level of [['none'], ['traditional'], ['aggressive'],
                       ['aggressive', '--force', 'merge_projection,dirac_shortcut']]) {
    const ran = spawnSync(xdn, ['fuse', spec, '-o', onnx, '--level', ...level], {encoding: 'utf8'});
    if (ran.status !== 0) throw new Error(ran.error?.message ?? ran.stderr.trim());
    const results = await runOrt(withOutput(readFileSync(onnx), 'fc10'), [input]);
    const worst = expectEqual({...results.fc10, dims: golden.dims}, {...golden, type: 'f32'}, kTolerance);
    console.log(`converted ResNet-50, ${level.join(' ')}, ${golden.dims[0]} images: ` +
                `${worst.toExponential(1)} of the largest golden logit`);
  }
}

try {
  await (which === 'converted' ? compareConverted() : compareLogits());
} catch (error) {
  console.log(`${which}: ${error.message}`);
  process.exitCode = 1;
}

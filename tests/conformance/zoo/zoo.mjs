// zoo.mjs XDN_RUN_LEVELS SCRATCH MAKE_NET NET: a well-known network of random weights, its BatchNorms kept, as written
// by MAKE_NET. Logits at every fusion level against ONNX Runtime's.

import {spawnSync} from 'node:child_process';
import {mkdirSync, rmSync} from 'node:fs';
import path from 'node:path';
import {normalise, pixelMap, syntheticBytes} from '../../../bench/peers/images.mjs';
import {expectEqual, runOrt, runXdn} from '../ort/judge.mjs';

const kTolerance = 1e-3;  // of the largest logit
const kLevels = ['off', 'traditional', 'aggressive'];
const kImages = 2, kSide = 224;
const [program, scratch, makeNet, net] = process.argv.slice(2);

async function compare() {
  const model = path.join(scratch, `${net}.onnx`);
  const ran = spawnSync(makeNet, [net, '--batchnorm', '--size', String(kSide), '-o', model], {encoding: 'utf8'});
  if (ran.status !== 0) throw new Error(ran.error?.message ?? ran.stderr.trim());
  const shape = [3, kSide, kSide];
  const pixels = syntheticBytes(kImages * 3 * kSide * kSide);
  const input = {type: 'f32', dims: [kImages, ...shape],
                 data: normalise(pixels, shape, pixelMap(path.join(scratch, net), 3))};
  const ours = runXdn(program, scratch, model, [input]);
  const theirs = Object.values(await runOrt(model, [input]))[0];
  const differ = ours.map((logits, i) => {
    try {
      return `${kLevels[i]} ${expectEqual(logits, theirs, kTolerance).toExponential(1)}`;
    } catch (error) {
      process.exitCode = 1;
      return `${kLevels[i]}: ${error.message}`;
    }
  });
  if (differ.length !== kLevels.length) throw new Error(`${differ.length} outputs`);
  console.log(`${net}: ${differ.join(', ')}`);
}

mkdirSync(scratch, {recursive: true});
try {
  await compare();
} catch (error) {
  console.log(`${net}: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(scratch, {recursive: true, force: true});
}

// Running a model in ONNX Runtime and in XDN, and comparing what comes out.

import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import path from 'node:path';
import {findOrt, sessionOptions} from '../../../bench/peers/ort.mjs';
import {kTypes, readTensors, writeTensors} from './onnx_writer.mjs';

export const ort = findOrt();
if (!ort) {
  console.log('skipped: no ONNX Runtime');
  process.exit(0);
}

/** Outputs by name. model: bytes or a path; inputs: tensors in the order of the model's inputs. */
export async function runOrt(model, inputs) {
  const session = await ort.InferenceSession.create(model, sessionOptions(1));
  const feeds = Object.fromEntries(inputs.map(({type, dims, data}, i) =>
    [session.inputNames[i], new ort.Tensor(kTypes[type].ort, data, dims)]));
  const results = await session.run(feeds);
  const typeOf = (name) => Object.keys(kTypes).find((key) => kTypes[key].ort === name);
  const tensors = session.outputNames.map((name) => {
    const {type, dims, data} = results[name];
    return [name, {type: typeOf(type), dims: [...dims], data: data.slice()}];
  });
  await session.release();
  return Object.fromEntries(tensors);
}

/** Outputs in order, through xdn_run_model. */
export function runXdn(program, scratch, model, inputs, options = []) {
  mkdirSync(scratch, {recursive: true});
  const from = path.join(scratch, 'in.tensors'), to = path.join(scratch, 'out.tensors');
  let file = model;
  if (typeof model !== 'string') {
    file = path.join(scratch, 'model.onnx');
    writeFileSync(file, model);
  }
  writeFileSync(from, writeTensors(inputs));
  rmSync(to, {force: true});
  const ran = spawnSync(program, [...options, file, from, to], {encoding: 'utf8'});
  if (ran.status !== 0) {
    throw new Error(ran.error?.message ?? (ran.stderr.trim() || `ended with ${ran.signal ?? ran.status}`));
  }
  return readTensors(readFileSync(to));
}

/** Throws unless types and extents agree, integers are equal and floats differ by at most relative * max|theirs|. */
export function expectEqual(ours, theirs, relative) {
  if (ours.type !== theirs.type || `${ours.dims}` !== `${theirs.dims}`) {
    throw new Error(`expected ${theirs.type} [${theirs.dims}], got ${ours.type} [${ours.dims}]`);
  }
  const exact = theirs.type !== 'f32' && theirs.type !== 'f64';
  let largest = 0, worst = 0, where = 0;
  theirs.data.forEach((expected, i) => {
    const difference = Math.abs(Number(ours.data[i]) - Number(expected));
    largest = Math.max(largest, Math.abs(Number(expected)));
    if (!(difference <= worst)) [worst, where] = [difference, i];
  });
  if (!(worst <= (exact ? 0 : relative * largest))) {
    throw new Error(`element ${where} is ${ours.data[where]}, expected ${theirs.data[where]} ` +
                    `(largest magnitude ${largest})`);
  }
  return largest ? worst / largest : 0;
}

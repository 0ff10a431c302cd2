// One engine, one model, one pass over a data set, as a program of its own: a row of `xdn experiment`, and a command to
// repeat it. docs/experiment.md.

import {existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {normalise, pixelMap, readFloats, readNpy, readNpyHeader, writeRaw} from './images.mjs';
import {predictions} from './numbers.mjs';
import {findOrt, root} from './ort.mjs';
import {Worker} from './protocol.mjs';

const usage = `node bench/peers/pass.mjs --engine ort|opencv --model MODEL --pack DIR [options]
  --model MODEL      model.onnx; for opencv also net.prototxt:weights.caffemodel. How its images are made stands beside
                     it, in model.preprocess.json
  --pack DIR         images and labels, as xdn pack writes them
  --decode FOLDER    decode the pack's images from this folder, by OpenCV, while the clock runs
  --batches LIST     the batch is the fastest of these (default 32,128,512)
  --threads T        (default 2)
  --limit N          only the first N images
  --build DIR        where the release build is (default build/release)
  --json FILE
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the engine is not installed.`;

const kAbsent = 3;
const kTrialSeconds = 0.6;
const kWarmUpSeconds = 0.4;

class Absent extends Error {}
class Usage extends Error {}

function options() {
  let values;
  try {
    ({values} = parseArgs({
      options: {
        engine: {type: 'string'},
        model: {type: 'string'},
        pack: {type: 'string'},
        decode: {type: 'string'},
        batches: {type: 'string', default: '32,128,512'},
        threads: {type: 'string', default: '2'},
        limit: {type: 'string'},
        build: {type: 'string', default: path.join(root, 'build/release')},
        json: {type: 'string'},
        help: {type: 'boolean', default: false},
      },
    }));
  } catch (error) {
    throw new Usage(error.message);
  }
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const whole = (name, text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw new Usage(`--${name}: expected a whole number from 1, not '${text}'`);
    return value;
  };
  for (const name of ['engine', 'model', 'pack']) if (!values[name]) throw new Usage(`expected --${name}; see --help`);
  if (!['ort', 'opencv'].includes(values.engine)) throw new Usage('--engine: expected ort or opencv');
  return {
    ...values,
    batches: values.batches.split(',').map((text) => whole('batches', text)),
    threads: whole('threads', values.threads),
    limit: values.limit === undefined ? Infinity : whole('limit', values.limit),
  };
}

function openCvWorker(args) {
  const program = path.join(args.build, 'bench/peers/opencv_worker');
  if (!existsSync(program)) throw new Absent(`OpenCV: no ${program}`);
  return new Worker('OpenCV', program, []);
}

function engineWorker(args) {
  if (args.engine === 'opencv') return openCvWorker(args);
  if (!findOrt()) throw new Absent('ONNX Runtime: onnxruntime-node is not installed; see scripts/setup --peers');
  return new Worker('ONNX Runtime', process.execPath, [path.join(root, 'bench/peers/ort_worker.mjs')]);
}

/** Image files in the order of the pack: classes by name, in them images by name. */
function imageFiles(folder, count) {
  const bytewise = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  const visible = (entry) => !entry.name.startsWith('.');
  const names = (entries) => entries.map((entry) => entry.name).sort(bytewise);
  const files = [];
  for (const kind of names(readdirSync(folder, {withFileTypes: true}).filter((e) => visible(e) && e.isDirectory()))) {
    const inside = readdirSync(path.join(folder, kind), {withFileTypes: true}).filter(visible);
    for (const name of names(inside)) files.push(path.join(folder, kind, name));
  }
  if (files.length < count) throw new Error(`${folder}: holds ${files.length} images, the pack ${count}`);
  return files.slice(0, count);
}

function readPack(args, pixels, scratch) {
  const header = readNpyHeader(path.join(args.pack, 'images.npy'));
  const [n, h, w, c] = header.dims;
  const dims = [c, h, w];
  const images = Math.min(n, args.limit);
  const labels = readNpy(path.join(args.pack, 'labels.npy')).data.slice(0, images);
  const floats = path.join(scratch, 'images.f32');
  if (!args.decode) {
    const bytes = readNpy(path.join(args.pack, 'images.npy')).data.subarray(0, images * c * h * w);
    const {color} = JSON.parse(readFileSync(path.join(args.pack, 'pack.json'), 'utf8'));
    // A pack's bytes may lie in BGR order; the map is written for RGB.
    const map = color === 'BGR' ? {...pixels, source_channel: pixels.source_channel.map((i) => c - 1 - i)} : pixels;
    writeRaw(floats, normalise(bytes, dims, map));
  }
  return {labels, data: {type: 'f32', file: floats, offset: 0, images, dims}};
}

async function decode(args, data, pixels, scratch) {
  const list = path.join(scratch, 'files.txt');
  writeFileSync(list, imageFiles(args.decode, data.images).join('\n') + '\n');
  const worker = openCvWorker(args);
  try {
    return await worker.ask({do: 'decode', list, dims: data.dims, pixels, threads: args.threads, file: data.file});
  } finally {
    worker.close();
  }
}

/** The fastest batch size for this engine and model. */
async function fastest(worker, args, images) {
  const trials = [];
  for (const batch of args.batches.map((b) => Math.min(b, images))) {
    await worker.ask({do: 'time', batch, seconds: kWarmUpSeconds});
    if (args.batches.length === 1) return {batch, trials};
    const {images: done, seconds} = await worker.ask({do: 'time', batch, seconds: kTrialSeconds});
    trials.push({batch, images_per_second: done / seconds});
  }
  return {batch: trials.reduce((a, b) => (b.images_per_second > a.images_per_second ? b : a)).batch, trials};
}

async function measure(args, worker, scratch) {
  const pixels = pixelMap(args.model.replace(/\.prototxt:.*$|\.onnx$/, ''), 3);
  const {labels, data} = readPack(args, pixels, scratch);
  const decoded = args.decode ? await decode(args, data, pixels, scratch) : null;
  const loaded = await worker.ask({do: 'load', model: args.model, threads: args.threads});
  if (loaded.fixed_batch) throw new Error(`${args.model}: has a fixed batch of ${loaded.fixed_batch}`);
  await worker.ask({do: 'data', ...data});
  const {batch, trials} = await fastest(worker, args, data.images);
  const out = path.join(scratch, 'outputs.f32');
  const pass = await worker.ask({do: 'pass', batch, file: out});
  const predicted = predictions(readFloats(out), data.images);
  const correct = predicted.filter((best, i) => BigInt(best) === BigInt(labels[i])).length;
  const seconds = pass.seconds + (decoded?.seconds ?? 0);
  return {
    engine: args.engine, about: decoded ? `${loaded.about}; decoding: ${decoded.about}` : loaded.about,
    model: args.model, data: args.decode ?? args.pack, images: data.images, correct, accuracy: correct / data.images,
    seconds_total: seconds, images_per_second: data.images / seconds, decode_seconds: decoded?.seconds ?? 0,
    inference_seconds: pass.seconds, batch, trials, threads: args.threads, cpu: os.cpus()[0].model,
  };
}

async function main() {
  const args = options();
  const worker = engineWorker(args);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'xdn-pass-'));
  const cleanUp = () => rmSync(scratch, {recursive: true, force: true});
  for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15]]) {
    process.once(signal, () => {
      cleanUp();
      process.exit(128 + number);
    });
  }
  try {
    const report = await measure(args, worker, scratch);
    console.log(`${report.about}, batches of ${report.batch}`);
    console.log(`accuracy ${report.accuracy.toFixed(4)}  (${report.correct} of ${report.images})`);
    console.log(`time     ${report.seconds_total.toFixed(3)} s, ${report.images_per_second.toFixed(1)} images/s` +
                (args.decode ? `, ${report.decode_seconds.toFixed(3)} s of it decoding` : ''));
    if (args.json) writeFileSync(args.json, JSON.stringify(report, null, 1) + '\n');
  } finally {
    worker.close();
    cleanUp();
  }
}

main().catch((error) => {
  console.error(`pass: ${error.message.split('\n')[0]}`);
  process.exit(error instanceof Absent ? kAbsent : error instanceof Usage ? 2 : 1);
});

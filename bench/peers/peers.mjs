// XDN and its peers side by side: the same model, the same images, taking turns in one run. docs/benchmarks.md.

import {execFileSync} from 'node:child_process';
import {existsSync, mkdirSync, writeFileSync} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {parseArgs} from 'node:util';
import {normalise, pixelMap, readFloats, readNpy, readNpyHeader, syntheticBytes, writeRaw} from './images.mjs';
import {accuracy, difference, predictions, spread} from './numbers.mjs';
import {findOrt, root} from './ort.mjs';
import {Worker} from './protocol.mjs';

const usage = `bench/peers/run --model MODEL [options]
  --model MODEL        model.onnx, or net.prototxt:weights.caffemodel
  --peers LIST         of ort, opencv, torch (default: ort)
  --peer-model MODEL   what the peers run instead, e.g. a quantized model made for them
  --batches LIST       default 1,32,128,512
  --threads T          of each engine (default 2)
  --rounds R           turns of each engine per batch size (default 7)
  --seconds S          of one turn, at least (default 1)
  --precision P        of XDN: fp32, bf16 or int8 (default: what the file says)
  --isa ISA            of XDN (default: the best)
  --input u8|f32       of XDN (default u8: the pixels' bytes); peers take float32, normalised beforehand
  --pack DIR           instead: whole passes over a pack, outputs and accuracy included
  --build DIR          where the release build is (default build/release)
  --json FILE`;

const kTitles = {xdn: 'XDN', ort: 'ONNX Runtime', opencv: 'OpenCV dnn', torch: 'libtorch'};
// Engines leave worker threads spinning for some milliseconds; the next turn starts after them.
const kPauseMs = 200;
const kCheckedImages = 64;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const whole = (x) => x.toFixed(x < 100 ? 1 : 0);

function options() {
  const {values} = parseArgs({
    options: {
      model: {type: 'string'},
      peers: {type: 'string', default: 'ort'},
      'peer-model': {type: 'string'},
      batches: {type: 'string', default: '1,32,128,512'},
      threads: {type: 'string', default: '2'},
      rounds: {type: 'string', default: '7'},
      seconds: {type: 'string', default: '1'},
      precision: {type: 'string'},
      isa: {type: 'string'},
      input: {type: 'string', default: 'u8'},
      pack: {type: 'string'},
      build: {type: 'string', default: path.join(root, 'build/release')},
      json: {type: 'string'},
      help: {type: 'boolean', default: false},
    },
  });
  if (values.help || !values.model) {
    console.log(usage);
    process.exit(values.help ? 0 : 2);
  }
  if (!['u8', 'f32'].includes(values.input)) throw new Error('--input: expected u8 or f32');
  const number = (name) => {
    const value = Number(values[name]);
    if (!(value > 0)) throw new Error(`--${name}: expected a positive number`);
    return value;
  };
  return {
    ...values,
    peers: values.peers.split(',').filter(Boolean),
    batches: values.batches.split(',').map(Number),
    threads: number('threads'),
    rounds: number('rounds'),
    seconds: number('seconds'),
    scratch: path.join(root, 'build/peers/scratch'),
  };
}

const modelStem = (spec) => spec.replace(/\.prototxt:.*$|\.onnx$/, '');

/** An ONNX file with a free batch, for peers that read no Caffe or no fixed batch. */
function converted(spec, args) {
  const xdn = [path.join(args.build, 'src/cli/xdn'), path.join(args.build, 'xdn')].find(existsSync);
  if (!xdn) throw new Error(`no xdn in ${args.build}: the peer's model cannot be converted`);
  const file = path.join(args.scratch, path.basename(modelStem(spec)) + '.onnx');
  execFileSync(xdn, ['fuse', spec, '-o', file, '--level', 'none'], {stdio: ['ignore', 'ignore', 'inherit']});
  return file;
}

function start(key, args) {
  if (key === 'ort') {
    if (!findOrt()) return null;
    return new Worker(kTitles.ort, process.execPath, [path.join(root, 'bench/peers/ort_worker.mjs')]);
  }
  if (!kTitles[key]) throw new Error(`--peers: unknown peer '${key}'`);
  const program = path.join(args.build, 'bench/peers', `${key}_worker`);
  return existsSync(program) ? new Worker(kTitles[key], program, []) : null;
}

async function loadPeer(key, worker, args) {
  let model = args['peer-model'] ?? args.model;
  if (key === 'ort' && model.includes('.prototxt:')) model = converted(model, args);
  let loaded = await worker.ask({do: 'load', model, threads: args.threads});
  if (loaded.fixed_batch) {
    model = converted(model, args);
    loaded = await worker.ask({do: 'load', model, threads: args.threads});
  }
  return {...loaded, model};
}

/** Planned for the batch size; with normalisation inside where XDN takes bytes. */
const loadXdn = (worker, args, pixels, batch) =>
  worker.ask({
    do: 'load', model: args.model, threads: args.threads, batch, ...(args.input === 'u8' && {pixels}),
    ...(args.precision && {precision: args.precision}), ...(args.isa && {isa: args.isa}),
  });

/** Raw files of the same images for both kinds of worker. */
function prepareImages(args, dims, pixels) {
  const bytesFile = path.join(args.scratch, 'images.u8');
  const floatsFile = path.join(args.scratch, 'images.f32');
  let bytes, u8, labels;
  if (args.pack) {
    const file = path.join(args.pack, 'images.npy');
    const header = readNpyHeader(file);
    const [n, h, w, c] = header.dims;
    if (header.dtype !== '|u1' || `${[c, h, w]}` !== `${dims}`) {
      throw new Error(`${file}: holds ${header.dtype} [${header.dims}], the model takes [${dims}]`);
    }
    bytes = readNpy(file).data;
    labels = readNpy(path.join(args.pack, 'labels.npy')).data;
    u8 = {type: 'u8', file, offset: header.offset, images: n, dims};
  } else {
    const images = Math.max(kCheckedImages, ...args.batches);
    bytes = syntheticBytes(images * dims[0] * dims[1] * dims[2]);
    writeRaw(bytesFile, bytes);
    u8 = {type: 'u8', file: bytesFile, offset: 0, images, dims};
  }
  writeRaw(floatsFile, normalise(bytes, dims, pixels));
  return {u8, f32: {...u8, type: 'f32', file: floatsFile, offset: 0}, labels};
}

async function checkOutputs(engines, args, images) {
  const few = {images: Math.min(kCheckedImages, images.u8.images)};
  const outputs = {};
  for (const engine of engines) {
    const file = path.join(args.scratch, `${engine.key}.out`);
    await engine.worker.ask({do: 'data', ...engine.data, ...few});
    const pass = await engine.worker.ask({do: 'pass', batch: few.images, file});
    outputs[engine.key] = {values: readFloats(file), size: pass.outputs};
    await engine.worker.ask({do: 'data', ...engine.data});
  }
  const checks = {};
  for (const engine of engines.slice(1)) {
    const check = difference(outputs.xdn.values, outputs[engine.key].values, outputs.xdn.size);
    checks[engine.key] = check;
    console.log(`${kTitles[engine.key]}: ${check.of} of ${few.images} images differ from XDN's by at most ` +
                `${check.relative.toExponential(1)} of the largest`);
  }
  return checks;
}

/** Each engine in turn, round by round; one figure of images/s per turn. */
async function takeTurns(engines, rounds, turn) {
  const speeds = Object.fromEntries(engines.map(({key}) => [key, []]));
  for (let round = -1; round < rounds; ++round) {  // round -1 warms up
    for (const engine of engines) {
      const {images, seconds} = await turn(engine, round < 0);
      if (round >= 0) speeds[engine.key].push(images / seconds);
      await sleep(kPauseMs);
    }
  }
  return Object.fromEntries(engines.map(({key}) => [key, {...spread(speeds[key]), rounds: speeds[key]}]));
}

function line(label, engines, results) {
  const cells = engines.map(({key}) => {
    const {median, min, max} = results[key];
    return `${whole(median)} (${whole(min)}..${whole(max)})`.padStart(26);
  });
  const ratios = engines.slice(1).map(({key}) => (results.xdn.median / results[key].median).toFixed(2).padStart(18));
  console.log(label.padStart(6) + cells.join('') + ratios.join(''));
}

function tableHead(engines) {
  console.log('\n' + 'batch'.padStart(6) + engines.map(({key}) => `${kTitles[key]}, images/s`.padStart(26)).join('') +
              engines.slice(1).map(({key}) => `XDN/${kTitles[key]}`.padStart(18)).join(''));
}

async function fixedBatches(engines, args, pixels) {
  const table = {};
  tableHead(engines);
  for (const batch of args.batches) {
    await loadXdn(engines[0].worker, args, pixels, batch);
    table[batch] = await takeTurns(engines, args.rounds, (engine, warming) =>
      engine.worker.ask({do: 'time', batch, seconds: warming ? args.seconds / 4 : args.seconds}));
    line(String(batch), engines, table[batch]);
  }
  const best = {};
  for (const {key} of engines) {
    const batch = args.batches.reduce((a, b) => (table[b][key].median > table[a][key].median ? b : a));
    best[key] = {batch, ...table[batch][key]};
  }
  line('best', engines, best);
  return {batches: table, best};
}

async function wholePasses(engines, args, pixels, images) {
  // Peers get the batch at which they are fastest; XDN takes the pack as `xdn eval` does, in one call.
  await loadXdn(engines[0].worker, args, pixels, 0);
  const chosen = {xdn: 0};
  for (const {key, worker} of engines.slice(1)) {
    let fastest = 0;
    for (const batch of args.batches) {
      await worker.ask({do: 'time', batch, seconds: args.seconds / 4});
      const {images: done, seconds} = await worker.ask({do: 'time', batch, seconds: args.seconds});
      if (done / seconds > fastest) [fastest, chosen[key]] = [done / seconds, batch];
    }
    console.log(`${kTitles[key]}: fastest at batch ${chosen[key]}`);
  }
  const file = (key) => path.join(args.scratch, `${key}.out`);
  tableHead(engines);
  const passes = await takeTurns(engines, args.rounds, ({key, worker}) =>
    worker.ask({do: 'pass', batch: chosen[key], file: file(key)}));
  line('pass', engines, passes);
  const predicted = {};
  for (const {key} of engines) {
    passes[key].batch = chosen[key];
    predicted[key] = predictions(readFloats(file(key)), images.labels.length);
    passes[key].accuracy = accuracy(predicted[key], images.labels);
    passes[key].equalPredictions = predicted[key].filter((best, i) => best === predicted.xdn[i]).length;
    const equal = key === 'xdn' ? '' : `, ${passes[key].equalPredictions} predictions equal to XDN's`;
    console.log(`${kTitles[key]}: accuracy ${passes[key].accuracy} on ${images.labels.length} images${equal}`);
  }
  return {passes};
}

async function main() {
  const args = options();
  mkdirSync(args.scratch, {recursive: true});
  const worker = start('xdn', args);
  if (!worker) throw new Error(`no xdn_worker in ${args.build}: build it first`);
  const pixels = pixelMap(modelStem(args.model), 3);
  const ours = await loadXdn(worker, args, pixels, 0);
  const images = prepareImages(args, ours.input, pixels);
  const engines = [{key: 'xdn', worker, about: ours.about, data: args.input === 'f32' ? images.f32 : images.u8}];
  for (const key of args.peers) {
    const peer = start(key, args);
    if (!peer) {
      console.log(`${kTitles[key] ?? key}: peer absent`);
      continue;
    }
    try {
      const loaded = await loadPeer(key, peer, args);
      engines.push({key, worker: peer, about: loaded.about, data: images.f32});
    } catch (error) {
      console.log(`${error.message}: left out`);
      peer.close();
    }
  }
  try {
    console.log(`${os.cpus()[0].model}, ${os.availableParallelism()} CPUs; ${path.basename(args.model)}; ` +
                `${args.rounds} turns each, median (min..max)`);
    for (const {key, about, data} of engines) {
      const takes = data.type === 'u8' ? "the pixels' bytes" : 'float32, normalised beforehand';
      console.log(`${kTitles[key]}: ${about}; takes ${takes}`);
    }
    const checks = await checkOutputs(engines, args, images);
    const results = args.pack ? await wholePasses(engines, args, pixels, images)
                              : await fixedBatches(engines, args, pixels);
    if (args.json) {
      const about = Object.fromEntries(engines.map(({key, about: text}) => [key, text]));
      const report = {model: path.basename(args.model), cpu: os.cpus()[0].model, threads: args.threads,
                      input: args.input, about, differences: checks, ...results};
      writeFileSync(args.json, JSON.stringify(report, null, 2) + '\n');
    }
  } finally {
    engines.forEach((engine) => engine.worker.close());
  }
}

main().catch((error) => {
  console.error(`peers: ${error.message}`);
  process.exit(1);
});

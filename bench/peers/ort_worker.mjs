// ONNX Runtime as a worker; see protocol.mjs. Takes float32 N x c x h x w.

import {closeSync, openSync, readSync, writeFileSync} from 'node:fs';
import {findOrt, sessionOptions} from './ort.mjs';
import {serve} from './protocol.mjs';

const ort = findOrt();
let session, data, dims, images;

const now = () => Number(process.hrtime.bigint()) * 1e-9;

function batchFrom(first, count) {
  const size = dims[0] * dims[1] * dims[2];
  const feeds = {};
  feeds[session.inputNames[0]] =
      new ort.Tensor('float32', data.subarray(first * size, (first + count) * size), [count, ...dims]);
  return feeds;
}

await serve({
  async load({model, threads}) {
    if (!ort) throw new Error('onnxruntime-node is not installed');
    const start = now();
    await session?.release();
    session = await ort.InferenceSession.create(model, sessionOptions(threads));
    const shape = session.inputMetadata[0].shape;
    const fixed = typeof shape[0] === 'number' && shape[0] > 0 ? shape[0] : 0;
    return {
      seconds: now() - start,
      input: shape.slice(1),
      fixed_batch: fixed,
      about: `onnxruntime-node ${ort.env.versions.node}, ${threads} threads`,
    };
  },

  async data(request) {
    ({dims, images} = request);
    const bytes = images * dims[0] * dims[1] * dims[2] * 4;
    const buffer = new ArrayBuffer(bytes);
    const file = openSync(request.file, 'r');
    const got = readSync(file, new Uint8Array(buffer), 0, bytes, request.offset ?? 0);
    closeSync(file);
    if (got !== bytes) throw new Error(`${request.file} holds ${got} of ${bytes} bytes`);
    data = new Float32Array(buffer);
    return {};
  },

  async time({batch, seconds}) {
    const start = now();
    let done = 0, first = 0, elapsed;
    do {
      if (first + batch > images) first = 0;
      await session.run(batchFrom(first, batch));
      first += batch;
      done += batch;
      elapsed = now() - start;
    } while (elapsed < seconds);
    return {images: done, seconds: elapsed};
  },

  async pass({batch, file}) {
    const step = batch || images;
    const outputs = [];
    const start = now();
    for (let first = 0; first < images; first += step) {
      const results = await session.run(batchFrom(first, Math.min(step, images - first)));
      outputs.push(results[session.outputNames[0]].data);
    }
    const elapsed = now() - start;
    const bytes = Buffer.concat(outputs.map((o) => Buffer.from(o.buffer, o.byteOffset, o.byteLength)));
    if (file) writeFileSync(file, bytes);
    return {images, seconds: elapsed, outputs: bytes.length / 4 / images};
  },
});

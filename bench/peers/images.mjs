// Images for the workers: bytes for XDN, the same pixels decoded and normalised as float32 for its peers.

import {closeSync, existsSync, openSync, readFileSync, readSync, writeFileSync} from 'node:fs';

/** dtype, dims and where the data begins, of a .npy file. */
export function readNpyHeader(file) {
  const fd = openSync(file, 'r');
  const head = Buffer.alloc(65536);
  const got = readSync(fd, head, 0, head.length, 0);
  closeSync(fd);
  if (got < 12 || head.toString('latin1', 0, 6) !== '\x93NUMPY') throw new Error(`${file}: is not a .npy file`);
  const wide = head[6] > 1;
  const start = wide ? 12 : 10;
  const length = wide ? head.readUInt32LE(8) : head.readUInt16LE(8);
  const text = head.toString('latin1', start, start + length);
  const dtype = /'descr':\s*'([^']*)'/.exec(text)?.[1];
  const shape = /'shape':\s*\(([^)]*)\)/.exec(text)?.[1];
  if (!dtype || shape === undefined || !/'fortran_order':\s*False/.test(text)) {
    throw new Error(`${file}: unexpected .npy header`);
  }
  return {dtype, dims: shape.split(',').map((s) => s.trim()).filter(Boolean).map(Number), offset: start + length};
}

/** A whole .npy file of float32, int64, int32 or uint8. */
export function readNpy(file) {
  const {dtype, dims, offset} = readNpyHeader(file);
  const kinds = {'<f4': Float32Array, '<i8': BigInt64Array, '<i4': Int32Array, '|u1': Uint8Array};
  const bytes = readFileSync(file).subarray(offset);
  const data = new kinds[dtype](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  return {dims, data};
}

/** x[c] = byte[source_channel[c]] * scale[c] + shift[c], from STEM.preprocess.json; plain bytes / 255 without it. */
export function pixelMap(stem, channels) {
  const file = `${stem}.preprocess.json`;
  const said = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const scale = said.scale ?? 1 / 255;
  const list = [...Array(channels).keys()];
  const mean = said.mean ?? list.map(() => 0);
  const std = said.std ?? list.map(() => 1);
  return {
    scale: list.map((c) => scale / std[c]),
    shift: list.map((c) => -mean[c] / std[c]),
    source_channel: list.map((c) => (said.color === 'BGR' ? channels - 1 - c : c)),
  };
}

/** Bytes that depend on nothing but their number: a multiplicative generator, 8 bits of its middle. */
export function syntheticBytes(count) {
  const bytes = new Uint8Array(count);
  let state = 12345;
  for (let i = 0; i < count; ++i) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = (state >>> 16) & 255;
  }
  return bytes;
}

/** n h w c bytes to n c h w floats. */
export function normalise(bytes, [c, h, w], {scale, shift, source_channel}) {
  const area = h * w;
  const floats = new Float32Array(bytes.length);
  for (let image = 0; image < bytes.length; image += area * c) {
    for (let channel = 0; channel < c; ++channel) {
      const dst = image + channel * area;
      const src = image + source_channel[channel];
      for (let i = 0; i < area; ++i) floats[dst + i] = bytes[src + i * c] * scale[channel] + shift[channel];
    }
  }
  return floats;
}

export const writeRaw = (file, array) =>
  writeFileSync(file, Buffer.from(array.buffer, array.byteOffset, array.byteLength));

export function readFloats(file) {
  const bytes = readFileSync(file);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
}

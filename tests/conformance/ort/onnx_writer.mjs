// Writes small ONNX models: just the wire format of the few messages they need (onnx.proto).

const varint = (value) => {
  const bytes = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest ? low | 128 : low);
  } while (rest);
  return Buffer.from(bytes);
};
const integer = (field, value) => Buffer.concat([varint(field << 3), varint(value)]);
const bytesOf = (field, bytes) => Buffer.concat([varint((field << 3) | 2), varint(bytes.length), bytes]);
const string = (field, text) => bytesOf(field, Buffer.from(text));
const float = (field, value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([varint((field << 3) | 5), bytes]);
};

/** ONNX's element types, by the names tensors carry in these tests and in xdn's text form. */
export const kTypes = {
  f32: {code: 1, array: Float32Array, ort: 'float32'},
  u8: {code: 2, array: Uint8Array, ort: 'uint8'},
  i8: {code: 3, array: Int8Array, ort: 'int8'},
  i32: {code: 6, array: Int32Array, ort: 'int32'},
  i64: {code: 7, array: BigInt64Array, ort: 'int64'},
  b8: {code: 9, array: Uint8Array, ort: 'bool'},
  f64: {code: 11, array: Float64Array, ort: 'float64'},
};

/** A tensor: {type, dims, data}. Values are converted to the type. */
export function tensor(type, dims, values) {
  const {array} = kTypes[type];
  const size = dims.reduce((a, b) => a * b, 1);
  if (values.length !== size) throw new Error(`${values.length} values for [${dims}]`);
  return {type, dims, data: array.from(values, (v) => (array === BigInt64Array ? BigInt(v) : v))};
}
export const ints = (...values) => tensor('i64', [values.length], values);
export const scalar = (type, value) => tensor(type, [], [value]);

const rawBytes = ({data}) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

function tensorProto(value, name = '') {
  return Buffer.concat([
    ...value.dims.map((extent) => integer(1, extent)), integer(2, kTypes[value.type].code), string(8, name),
    bytesOf(9, rawBytes(value)),
  ]);
}

/** Integers are ints, {float: x} floats, strings strings, arrays of integers ints, tensors tensors. */
function attribute(name, value) {
  const parts = [string(1, name)];
  if (typeof value === 'number') parts.push(integer(3, value), integer(20, 2));
  else if (typeof value === 'string') parts.push(string(4, value), integer(20, 3));
  else if (Array.isArray(value)) parts.push(...value.map((v) => integer(8, v)), integer(20, 7));
  else if ('float' in value) parts.push(float(2, value.float), integer(20, 1));
  else parts.push(bytesOf(5, tensorProto(value)), integer(20, 4));
  return Buffer.concat(parts);
}

function valueInfo(name, type, dims) {
  const shape = dims && Buffer.concat(dims.map((extent) => bytesOf(1, integer(1, extent))));
  const tensorType = Buffer.concat([integer(1, kTypes[type].code), ...(shape ? [bytesOf(2, shape)] : [])]);
  return Buffer.concat([string(1, name), bytesOf(2, bytesOf(1, tensorType))]);
}

/**
 * nodes: [{op, inputs, outputs, attrs}]; inputs and constants: {name: tensor}; outputs: {name: type}.
 * Returns the bytes of a ModelProto.
 */
export function model({opset, nodes, inputs, constants = {}, outputs}) {
  const irVersion = opset >= 21 ? 10 : opset >= 19 ? 9 : 8;
  const graph = Buffer.concat([
    ...nodes.map(({op, inputs: from, outputs: to, attrs = {}}, i) => bytesOf(1, Buffer.concat([
      ...from.map((name) => string(1, name)), ...to.map((name) => string(2, name)), string(3, `${op}_${i}`),
      string(4, op), ...Object.entries(attrs).map(([name, value]) => bytesOf(5, attribute(name, value))),
    ]))),
    string(2, 'test'),
    ...Object.entries(constants).map(([name, value]) => bytesOf(5, tensorProto(value, name))),
    ...Object.entries(inputs).map(([name, {type, dims}]) => bytesOf(11, valueInfo(name, type, dims))),
    ...Object.entries(outputs).map(([name, type]) => bytesOf(12, valueInfo(name, type))),
  ]);
  return Buffer.concat([integer(1, irVersion), bytesOf(7, graph), bytesOf(8, integer(2, opset))]);
}

/** Protocol buffers merge what is appended: the same model with one more output, a float tensor. */
export const withOutput = (bytes, name) =>
  Buffer.concat([bytes, bytesOf(7, bytesOf(12, valueInfo(name, 'f32')))]);

/** The format of tensor_file.h. */
export const writeTensors = (tensors) => Buffer.concat(tensors.flatMap((value) => [
  Buffer.from(`${value.type} ${[value.dims.length, ...value.dims].join(' ')}\n`), rawBytes(value),
]));

export function readTensors(bytes) {
  const tensors = [];
  for (let at = 0; at < bytes.length;) {
    const end = bytes.indexOf(10, at);
    const [type, , ...dims] = bytes.toString('latin1', at, end).split(' ');
    const {array} = kTypes[type];
    const size = dims.reduce((a, b) => a * Number(b), 1) * array.BYTES_PER_ELEMENT;
    const slice = bytes.subarray(end + 1, end + 1 + size);
    const copy = new ArrayBuffer(size);
    new Uint8Array(copy).set(slice);
    tensors.push({type, dims: dims.map(Number), data: new array(copy)});
    at = end + 1 + size;
  }
  return tensors;
}

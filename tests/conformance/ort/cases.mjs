// Every supported operator, in the forms that opsets 18 to 21 give it.

import {ints, kTypes, scalar, tensor} from './onnx_writer.mjs';

let state = 1;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
/** Uniform in [low, high); the same numbers in every run. */
export function filled(type, dims, low = -1, high = 1) {
  const size = dims.reduce((a, b) => a * b, 1);
  const integral = type !== 'f32' && type !== 'f64';
  const values = Array.from({length: size}, () => {
    const x = low + (high - low) * random();
    return integral ? Math.floor(x) : x;
  });
  return tensor(type, dims, values);
}
const f = (dims, low, high) => filled('f32', dims, low, high);

const kNames = 'abcdefgh';
const isTensor = (value) => value && value.data !== undefined && kTypes[value.type];

/**
 * One node. Arguments in the operator's order: a tensor is an input of the model, {fixed: tensor} an initializer,
 * null an input left out. Results: types of the outputs.
 */
function one(op, args, attrs = {}, results = ['f32']) {
  const built = {inputs: {}, constants: {}, outputs: {}};
  const from = args.map((argument, i) => {
    if (!argument) return '';
    const name = kNames[i];
    if (isTensor(argument)) built.inputs[name] = argument;
    else built.constants[name] = argument.fixed;
    return name;
  });
  const to = results.map((type, i) => {
    const name = `y${i}`;
    built.outputs[name] = type;
    return name;
  });
  return {op, ...built, nodes: [{op, inputs: from, outputs: to, attrs}]};
}
const fixed = (value) => ({fixed: value});
const float = (value) => ({float: value});

function convolutions() {
  const x = f([2, 6, 9, 8]);
  const conv = (w, attrs, bias = true) =>
    one('Conv', [x, fixed(w), bias ? fixed(f([w.dims[0]])) : null].slice(0, bias ? 3 : 2), attrs);
  return [
    conv(f([4, 6, 3, 3]), {pads: [1, 1, 1, 1]}),
    conv(f([4, 6, 3, 3]), {kernel_shape: [3, 3], strides: [2, 2], pads: [0, 1, 1, 0]}, false),
    conv(f([4, 6, 1, 1]), {strides: [2, 1]}),
    conv(f([6, 2, 3, 3]), {group: 3, dilations: [2, 2], pads: [2, 2, 2, 2]}),
    conv(f([6, 1, 5, 3]), {group: 6, pads: [2, 1, 2, 1]}),
    conv(f([4, 6, 3, 3]), {auto_pad: 'SAME_UPPER', strides: [2, 2]}),
    conv(f([4, 6, 2, 2]), {auto_pad: 'SAME_LOWER'}),
    conv(f([4, 6, 3, 3]), {auto_pad: 'VALID'}),
    one('Conv', [f([2, 3, 10]), fixed(f([4, 3, 3])), fixed(f([4]))], {pads: [1, 1], strides: [2]}),
    one('Conv', [f([1, 2, 5, 5, 5]), fixed(f([3, 2, 3, 3, 3]))], {pads: [1, 1, 1, 1, 1, 1]}),
  ];
}

function normalisations() {
  const c = 5;
  const norm = (dims) => one('BatchNormalization',
      [f(dims), fixed(f([c])), fixed(f([c])), fixed(f([c])), fixed(f([c], 0.1, 2))], {epsilon: float(1e-3)});
  return [
    norm([2, c, 4, 3]), norm([3, c]),
    one('LRN', [f([2, 7, 3, 3], -3, 3)], {size: 5, alpha: float(0.02), beta: float(0.6), bias: float(1.5)}),
    one('LRN', [f([1, 4, 2, 2], -3, 3)], {size: 3}),
  ];
}

function activations() {
  const x = f([2, 3, 4, 5], -4, 4);
  return [
    one('Relu', [x]), one('LeakyRelu', [x]), one('LeakyRelu', [x], {alpha: float(0.3)}), one('Sigmoid', [x]),
    one('HardSigmoid', [x]), one('HardSigmoid', [x], {alpha: float(0.3), beta: float(0.4)}), one('HardSwish', [x]),
    one('PRelu', [x, fixed(f([3, 1, 1]))]), one('PRelu', [x, fixed(f([1]))]),
    one('Clip', [x, fixed(scalar('f32', -1)), fixed(scalar('f32', 2))]),
    one('Clip', [x, null, fixed(scalar('f32', 0.5))]), one('Clip', [x]),
    one('Clip', [filled('i32', [2, 3], -9, 9), fixed(scalar('i32', -3)), fixed(scalar('i32', 4))], {}, ['i32']),
    one('Softmax', [x]), one('Softmax', [x], {axis: 1}), one('Softmax', [f([3, 10], -50, 50)], {axis: -1}),
    one('Identity', [x]), one('Dropout', [x]), one('Dropout', [x, fixed(scalar('f32', 0.7))]),
    one('Dropout', [x, fixed(scalar('f32', 0.7)), fixed(scalar('b8', 0))]),
  ];
}

function arithmetic() {
  const a = f([2, 3, 4]), b = f([3, 1]), c = f([1, 1, 4]);
  const i = filled('i64', [2, 3], -20, 20), j = filled('i64', [2, 3], 1, 5);
  const positive = f([2, 3, 4], 0.1, 3);
  return [
    ...['Add', 'Sub', 'Mul', 'Div'].flatMap((op) => [
      one(op, [a, f([2, 3, 4], 0.5, 2)]), one(op, [a, fixed(f([3, 1], 0.5, 2))]), one(op, [b, positive]),
      one(op, [i, j], {}, ['i64']),
      one(op, [filled('i32', [4], 0, 99), fixed(filled('i32', [1], 3, 9))], {}, ['i32']),
      one(op, [filled('f64', [4]), filled('f64', [4], 1, 2)], {}, ['f64']),
    ]),
    one('Pow', [positive, a]), one('Pow', [a, fixed(scalar('f32', 2))]), one('Pow', [positive, fixed(ints(3))]),
    one('Sum', [a]), one('Sum', [a, b]), one('Sum', [a, b, c]), one('Sum', [a, f([2, 3, 4]), f([2, 3, 4]), b]),
    one('Max', [a]), one('Max', [a, b]), one('Max', [a, b, c]), one('Max', [i, j], {}, ['i64']),
  ];
}

function matrices() {
  const gemm = (a, b, c, attrs) => one('Gemm', [f(a), fixed(f(b)), ...(c ? [fixed(f(c))] : [])], attrs);
  return [
    gemm([3, 7], [7, 5], [5]), gemm([3, 7], [5, 7], [5], {transB: 1}), gemm([7, 3], [7, 5], [3, 5], {transA: 1}),
    gemm([3, 7], [7, 5], [3, 1], {alpha: float(0.5), beta: float(2)}), gemm([3, 7], [7, 5]),
    gemm([7, 3], [5, 7], [1], {transA: 1, transB: 1, alpha: float(-1)}),
    one('MatMul', [f([3, 4]), f([4, 5])]), one('MatMul', [f([2, 3, 4]), fixed(f([4, 5]))]),
    one('MatMul', [f([2, 1, 3, 4]), f([3, 4, 2])]), one('MatMul', [f([4]), f([4, 5])]),
    one('MatMul', [f([3, 4]), f([4])]),
  ];
}

function pools(opset) {
  const x = f([2, 3, 9, 8]);
  const both = (attrs) => [one('MaxPool', [x], attrs), one('AveragePool', [x], attrs)];
  return [
    ...both({kernel_shape: [3, 3]}), ...both({kernel_shape: [2, 3], strides: [2, 2]}),
    ...both({kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1]}),
    ...both({kernel_shape: [3, 3], strides: [2, 2], pads: [0, 1, 1, 0]}),
    ...both({kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1}),
    ...both({kernel_shape: [3, 3], strides: [2, 2], auto_pad: 'SAME_UPPER'}),
    ...both({kernel_shape: [2, 2], auto_pad: 'SAME_LOWER'}), ...both({kernel_shape: [4, 4], auto_pad: 'VALID'}),
    one('AveragePool', [x], {kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1}),
    one('AveragePool', [x], {kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 1], count_include_pad: 1}),
    one('MaxPool', [x], {kernel_shape: [3, 3], dilations: [2, 2], pads: [1, 1, 1, 1]}),
    one('MaxPool', [x], {kernel_shape: [3, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1}),
    ...(opset >= 19 ? [one('AveragePool', [x], {kernel_shape: [2, 2], dilations: [2, 3]})] : []),
    one('MaxPool', [f([2, 3, 11])], {kernel_shape: [3], strides: [2]}),
    one('AveragePool', [f([1, 2, 5, 6, 7])], {kernel_shape: [2, 2, 2], strides: [2, 2, 2]}),
    one('MaxPool', [filled('u8', [1, 2, 6, 6], 0, 256)], {kernel_shape: [2, 2], strides: [2, 2]}, ['u8']),
    one('GlobalAveragePool', [x]), one('GlobalAveragePool', [f([2, 3, 7])]),
    one('ReduceMean', [x, fixed(ints(2, 3))]), one('ReduceMean', [x, fixed(ints(-1, 1))], {keepdims: 0}),
    one('ReduceMean', [x], {keepdims: 0}), one('ReduceMean', [x], {noop_with_empty_axes: 1}),
  ];
}

function shapes(opset) {
  const x = f([2, 3, 4, 6]);
  const slice = (starts, ends, axes, steps) =>
    one('Slice', [x, ...[starts, ends, axes, steps].filter(Boolean).map((list) => fixed(ints(...list)))]);
  const i = filled('i64', [4, 5], 0, 100);
  return [
    one('Flatten', [x]), ...[0, 2, -1, 4].map((axis) => one('Flatten', [x], {axis})),
    one('Reshape', [x, fixed(ints(6, 24))]), one('Reshape', [x, fixed(ints(0, -1, 2))]),
    one('Reshape', [x, fixed(ints(2, 3, 4, 6))], {allowzero: 1}), one('Reshape', [i, fixed(ints(-1))], {}, ['i64']),
    one('Squeeze', [f([1, 3, 1, 4]), fixed(ints(0, -2))]), one('Squeeze', [f([1, 3, 1, 4])]),
    one('Unsqueeze', [f([3, 4]), fixed(ints(0, 2))]), one('Unsqueeze', [f([3, 4]), fixed(ints(-1))]),
    one('Concat', [x, f([2, 5, 4, 6])], {axis: 1}), one('Concat', [x, x, f([2, 3, 4, 1])], {axis: -1}),
    one('Concat', [i, fixed(filled('i64', [2, 5], 0, 9))], {axis: 0}, ['i64']),
    slice([1, 0], [3, 4], [1, 3]), slice([0, -3], [2, 100], [0, -1]), slice([5], [0], [3], [-2]),
    slice([-1], [-100], [2], [-1]), slice([1, 1, 1, 1], [2, 3, 4, 5]), slice([0], [6], [3], [3]),
    one('Split', [x, fixed(ints(1, 5))], {axis: 3}, ['f32', 'f32']),
    one('Split', [x], {axis: 2, num_outputs: 2}, ['f32', 'f32']),
    one('Split', [x], {axis: 1, num_outputs: 2}, ['f32', 'f32']),
    one('Split', [x], {axis: -1, num_outputs: 3}, ['f32', 'f32', 'f32']),
    one('Pad', [x, fixed(ints(0, 1, 2, 0, 0, 0, 1, 3))]),
    one('Pad', [x, fixed(ints(0, 0, 1, 1, 0, 0, 1, 1)), fixed(scalar('f32', 0.5))], {mode: 'constant'}),
    one('Pad', [x, fixed(ints(0, 0, -1, 1, 0, 0, 2, -2))]),
    one('Pad', [x, fixed(ints(0, 0, 2, 3, 0, 0, 1, 2))], {mode: 'reflect'}),
    one('Pad', [x, fixed(ints(0, 0, 5, 1, 0, 0, 1, 9))], {mode: 'edge'}),
    one('Pad', [x, fixed(ints(1, 2, 3, 0)), null, fixed(ints(-1, 1))]),
    one('Pad', [i, fixed(ints(1, 0, 0, 2)), fixed(scalar('i64', 7))], {}, ['i64']),
    one('Transpose', [x]), one('Transpose', [x], {perm: [0, 2, 3, 1]}),
    one('Transpose', [i], {perm: [1, 0]}, ['i64']),
    one('Gather', [x, fixed(ints(2, 0, -1))], {axis: 1}), one('Gather', [x, fixed(scalar('i64', 1))], {axis: 0}),
    one('Gather', [x, filled('i32', [2, 2], 0, 6)], {axis: -1}),
    ...(opset >= 19 ? [one('Identity', [filled('i32', [3], -9, 9)], {}, ['i32'])] : []),
  ];
}

function casts() {
  const cast = (x, to) => one('Cast', [x], {to: kTypes[to].code}, [to]);
  return [
    cast(f([2, 5], -100, 100), 'i32'), cast(f([2, 5], 0, 255), 'u8'), cast(f([2, 5], -100, 100), 'i64'),
    cast(f([2, 5]), 'f64'), cast(filled('f64', [2, 5], -1e3, 1e3), 'f32'), cast(filled('i64', [7], -99, 99), 'f32'),
    cast(filled('u8', [7], 0, 256), 'f32'), cast(filled('i32', [7], -300, 300), 'i8'),
    cast(filled('i32', [9], -1, 2), 'b8'), cast(filled('b8', [9], 0, 2), 'f32'), cast(filled('i8', [7], -9, 9), 'i64'),
  ];
}

function constants(opset) {
  const x = f([2, 3, 4]);
  const chain = (op, nodes, inputs = {x}, constantsOf = {}, type = 'f32') =>
    ({op, nodes, inputs, constants: constantsOf, outputs: {y: type}});
  const node = (op, inputs, outputs, attrs) => ({op, inputs, outputs, attrs});
  const add = node('Add', ['x', 'c'], ['y']);
  const shape = (attrs) => chain('Shape', [
    node('Shape', ['x'], ['s'], attrs), node('Cast', ['s'], ['t'], {to: 1}), node('ReduceMean', ['t'], ['c']),
    add,
  ]);
  return [
    chain('Constant', [node('Constant', [], ['c'], {value: f([3, 4])}), add]),
    chain('Constant', [node('Constant', [], ['c'], {value_float: float(2.5)}), add]),
    chain('Constant', [node('Constant', [], ['s'], {value_ints: [4, 6]}), node('Reshape', ['x', 's'], ['y'])]),
    chain('Constant', [node('Constant', [], ['s'], {value_int: 1}), node('Gather', ['x', 's'], ['y'], {axis: 1})]),
    chain('ConstantOfShape', [node('ConstantOfShape', ['s'], ['c'], {value: tensor('f32', [1], [1.5])}), add], {x},
          {s: ints(3, 4)}),
    chain('ConstantOfShape', [node('ConstantOfShape', ['s'], ['c']), add], {x}, {s: ints(2, 1, 4)}),
    shape(), shape({start: 1}), shape({start: -2, end: -1}),
    chain('Shape', [
      node('Shape', ['x'], ['s']), node('Gather', ['s', 'zero'], ['n'], {axis: 0}),
      node('Unsqueeze', ['n', 'axis'], ['n1']), node('Concat', ['n1', 'rest'], ['to'], {axis: 0}),
      node('Reshape', ['x', 'to'], ['y']),
    ], {x}, {zero: scalar('i64', 0), axis: ints(0), rest: ints(-1)}),
    chain('Shape', [
      node('Shape', ['x'], ['s']), node('Slice', ['s', 'one', 'two'], ['half']),
      node('Div', ['half', 'two'], ['quotient']), node('Mul', ['quotient', 'two'], ['n']),
      node('Sub', ['n', 'one'], ['end']), node('Slice', ['x', 'zero', 'end', 'one'], ['y']),
    ], {x}, {zero: ints(0), one: ints(1), two: ints(2)}),
    ...(opset >= 19 ? [chain('Constant', [node('Constant', [], ['c'], {value: scalar('f32', -1)}), add])] : []),
  ];
}

function quantization(opset) {
  const x = f([2, 4, 3, 3], -3, 3);
  const perChannel = f([4], 0.01, 0.05);
  const quantize = (scale, zero, attrs, to) => one('QuantizeLinear', [x, fixed(scale), fixed(zero)], attrs, [to]);
  const dequantize = (from, scale, zero, attrs) =>
    one('DequantizeLinear', [from, fixed(scale), ...(zero ? [fixed(zero)] : [])], attrs);
  const u8 = filled('u8', [2, 4, 3, 3], 0, 256), i8 = filled('i8', [2, 4, 3, 3], -128, 128);
  return [
    quantize(scalar('f32', 0.02), scalar('u8', 117), {}, 'u8'), quantize(scalar('f32', 0.01), scalar('i8', -3), {}, 'i8'),
    quantize(perChannel, filled('u8', [4], 0, 256), {axis: 1}, 'u8'),
    quantize(perChannel, tensor('i8', [4], [0, 0, 0, 0]), {axis: -3}, 'i8'),
    quantize(scalar('f32', 0.5), scalar('i8', 0), {}, 'i8'),
    one('QuantizeLinear', [x, fixed(scalar('f32', 0.02))], {}, ['u8']),
    dequantize(u8, scalar('f32', 0.02), scalar('u8', 117)), dequantize(i8, scalar('f32', 0.02), null),
    dequantize(u8, perChannel, filled('u8', [4], 0, 256), {axis: 1}),
    dequantize(i8, f([3], 0.01, 0.1), tensor('i8', [3], [0, 5, -7]), {axis: 3}),
    dequantize(filled('i32', [5], -1e5, 1e5), scalar('f32', 0.001), null),
    ...(opset >= 21 ? [one('QuantizeLinear', [x, fixed(scalar('f32', 0.02))], {output_dtype: 3}, ['i8'])] : []),
  ];
}

export const cases = (opset) => [
  ...convolutions(), ...normalisations(), ...activations(), ...arithmetic(), ...matrices(), ...pools(opset),
  ...shapes(opset), ...casts(), ...constants(opset), ...quantization(opset),
];

/** What the list of supported operators holds; the cases must cover it. */
export const kOperators = `Conv BatchNormalization Relu LeakyRelu Clip Sigmoid HardSigmoid HardSwish Add Mul Sub Div
  MaxPool AveragePool GlobalAveragePool ReduceMean Gemm MatMul Flatten Reshape Squeeze Unsqueeze Concat Slice Split Pad
  Transpose Identity Constant ConstantOfShape Shape Gather Cast Dropout Softmax Sum Max Pow PRelu LRN QuantizeLinear
  DequantizeLinear`.split(/\s+/);

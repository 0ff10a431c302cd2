// operators.mjs XDN_RUN_MODEL SCRATCH OPSET: every case at that opset, random inputs, the reference executor.

import {cases, kOperators} from './cases.mjs';
import {expectEqual, runOrt, runXdn} from './judge.mjs';
import {model} from './onnx_writer.mjs';

const [program, scratch, opsetText] = process.argv.slice(2);
const opset = Number(opsetText);
const all = cases(opset);
let failed = 0;

for (const op of kOperators.filter((name) => !all.some((one) => one.op === name))) {
  console.log(`${op}: no case`);
  ++failed;
}
for (const [index, one] of all.entries()) {
  const last = one.nodes.find(({op}) => op === one.op);
  const what = `case ${index}: ${one.op} ${JSON.stringify(last.attrs ?? {}, (_, v) => (v?.data ? '...' : v))}`;
  const bytes = model({opset, ...one});
  const inputs = Object.values(one.inputs);
  let theirs;
  try {
    theirs = Object.values(await runOrt(bytes, inputs));
  } catch (error) {
    console.log(`${what}: ONNX Runtime: ${error.message.split('\n')[0]}`);
    ++failed;
    continue;
  }
  try {
    const ours = runXdn(program, scratch, bytes, inputs, ['--fixed']);
    if (ours.length !== theirs.length) throw new Error(`${ours.length} outputs, expected ${theirs.length}`);
    ours.forEach((tensor, i) => expectEqual(tensor, theirs[i], 1e-4));
  } catch (error) {
    console.log(`${what}: ${error.message}`);
    ++failed;
  }
}
console.log(`opset ${opset}: ${kOperators.length} operators, ${all.length} cases, ${failed} failed`);
process.exit(failed ? 1 : 0);

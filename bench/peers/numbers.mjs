// Comparing outputs, and summing up timings.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const spread = (values) => ({median: median(values), min: Math.min(...values), max: Math.max(...values)});

function rows(values, size) {
  return Array.from({length: values.length / size}, (_, i) => values.subarray(i * size, (i + 1) * size));
}

const isProbability = (values, size) =>
  rows(values, size).every((row) => row.every((x) => x >= 0) && Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-3);

function softmax(values, size) {
  const result = new Float32Array(values.length);
  rows(values, size).forEach((row, i) => {
    const largest = Math.max(...row);
    const powers = Array.from(row, (x) => Math.exp(x - largest));
    const sum = powers.reduce((a, b) => a + b, 0);
    powers.forEach((p, j) => (result[i * size + j] = p / sum));
  });
  return result;
}

/**
 * The largest difference of two sets of outputs, relative to the largest magnitude. XDN answers logits; where the
 * peer runs the trailing Softmax too, probabilities are compared.
 */
export function difference(ours, theirs, size) {
  if (ours.length !== theirs.length) throw new Error(`${ours.length} outputs against ${theirs.length}`);
  const probabilities = isProbability(theirs, size) && !isProbability(ours, size);
  const left = probabilities ? softmax(ours, size) : ours;
  let largest = 0, worst = 0;
  for (let i = 0; i < left.length; ++i) {
    largest = Math.max(largest, Math.abs(theirs[i]));
    worst = Math.max(worst, Math.abs(left[i] - theirs[i]));
    if (!Number.isFinite(left[i] - theirs[i])) worst = Infinity;
  }
  return {relative: worst / largest, of: probabilities ? 'probabilities' : 'logits'};
}

/** The class of each of `count` images: the first of the largest outputs. */
export function predictions(outputs, count) {
  return rows(outputs, outputs.length / count).map((row) => {
    let best = 0;
    for (let j = 1; j < row.length; ++j) if (row[j] > row[best]) best = j;
    return best;
  });
}

export function accuracy(predicted, labels) {
  return predicted.filter((best, i) => BigInt(best) === BigInt(labels[i])).length / labels.length;
}

// demo_table.mjs PEER|absent (TITLE STEM)...: the table of scripts/demo. STEM-1.json, STEM-2.json and STEM-3.json are what
// `xdn eval --json` wrote in three turns, the first of them on all images; PEER is what bench/peers/peers.mjs wrote.

import {readFileSync} from 'node:fs';

const read = (file) => JSON.parse(readFileSync(file, 'utf8'));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
const whole = (x) => (x < 100 ? x.toFixed(1) : x.toFixed(0));

const [peerFile, ...words] = process.argv.slice(2);
if (!peerFile || words.length === 0 || words.length % 2 !== 0) {
  console.error('usage: demo_table.mjs PEER|absent (TITLE STEM)...');
  process.exit(2);
}
const rows = [];
for (let i = 0; i < words.length; i += 2) {
  const turns = [1, 2, 3].map((round) => read(`${words[i + 1]}-${round}.json`));
  rows.push({
    title: words[i], accuracy: turns[0].accuracy, images: turns[0].images, precision: turns[0].precision,
    speed: median(turns.map((turn) => turn.images_per_second)),
  });
}
const peer = peerFile === 'absent' ? null : read(peerFile).best.ort ?? null;

const cells = [['', 'arithmetic', 'accuracy', 'images/s', 'times as fast', ...(peer ? ['as ONNX Runtime'] : [])]];
if (peer) cells.push(['as trained, ONNX Runtime', 'fp32', '', whole(peer.median), (peer.median / rows[0].speed).toFixed(2), '1.00']);
for (const row of rows) {
  cells.push([row.title, row.precision, row.accuracy.toFixed(4), whole(row.speed), (row.speed / rows[0].speed).toFixed(2),
              ...(peer ? [(row.speed / peer.median).toFixed(2)] : [])]);
}
const widths = cells[0].map((_, column) => Math.max(...cells.map((line) => line[column].length)));
for (const line of cells) {
  console.log(line.map((cell, c) => (c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c] + 3))).join('').trimEnd());
}
console.log(`\naccuracy on ${rows[0].images} images; images/s: median of three turns` +
            (peer ? `; ONNX Runtime at its best batch, ${peer.batch}, three turns` : ''));

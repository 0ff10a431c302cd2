// Finds onnxruntime-node below $XDN_PEERS, or below build/peers of this tree.

import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** The module, or null where it is not installed. */
export function findOrt() {
  const folder = path.resolve(process.env.XDN_PEERS || path.join(root, 'build/peers'));
  if (!existsSync(path.join(folder, 'node_modules/onnxruntime-node'))) return null;
  return createRequire(path.join(folder, 'package.json'))('onnxruntime-node');
}

export const sessionOptions = (threads) => ({
  executionProviders: ['cpu'],
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
});

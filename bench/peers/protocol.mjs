// Workers are child processes that speak JSON, one object a line: a request on stdin, its answer on stdout.
//
//   {"do": "load", "model": SPEC, "threads": T, "batch": B, "precision": P, "pixels": {...}}
//       -> {"ok": true, "seconds": S, "input": [c, h, w], "about": TEXT, "fixed_batch": B or 0}
//   {"do": "data", "type": "u8" | "f32", "file": F, "offset": O, "images": N, "dims": [c, h, w]}
//       u8 is N x h x w x c, f32 is N x c x h x w     -> {"ok": true}
//   {"do": "time", "batch": B, "seconds": S}          whole batches, for at least S seconds
//       -> {"ok": true, "images": N, "seconds": S}
//   {"do": "pass", "batch": B, "file": F}             every image once; outputs to F as raw float32
//       -> {"ok": true, "images": N, "seconds": S, "outputs": PER_IMAGE}
//   {"do": "decode", "list": F, "dims": [c, h, w], "pixels": {...}, "threads": T, "file": OUT}
//       the images whose paths are the lines of F, as OUT: f32, N x c x h x w
//                                                     -> {"ok": true, "images": N, "seconds": S, "about": TEXT}
//   anything that fails                               -> {"ok": false, "error": TEXT}
//
// Seconds are measured inside the worker, around its inference calls alone; those of "decode" from opening the first
// image file to the last float in memory.

import {spawn} from 'node:child_process';
import {createInterface} from 'node:readline';

/** The asking side: one worker process. */
export class Worker {
  constructor(title, command, args, env = {}) {
    this.title = title;
    this.waiting = null;
    this.child = spawn(command, args, {stdio: ['pipe', 'pipe', 'inherit'], env: {...process.env, ...env}});
    this.child.on('error', (error) => this.#settle({ok: false, error: error.message}));
    this.child.on('exit', (code, signal) => {
      this.exited = `ended with ${signal ?? `status ${code}`}`;
      this.#settle({ok: false, error: this.exited});
    });
    this.child.stdin.on('error', () => {});
    createInterface({input: this.child.stdout}).on('line', (line) => {
      let answer;
      try {
        answer = JSON.parse(line);
      } catch {
        answer = {ok: false, error: `answered "${line.slice(0, 200)}"`};
      }
      this.#settle(answer);
    });
  }

  #settle(answer) {
    const waiting = this.waiting;
    this.waiting = null;
    if (!waiting) return;
    if (answer.ok) waiting.resolve(answer);
    else waiting.reject(new Error(`${this.title}: ${answer.error}`));
  }

  ask(request) {
    if (this.exited) return Promise.reject(new Error(`${this.title}: ${this.exited}`));
    return new Promise((resolve, reject) => {
      this.waiting = {resolve, reject};
      this.child.stdin.write(JSON.stringify(request) + '\n');
    });
  }

  close() {
    this.child.stdin.end();
  }
}

/** The answering side: handlers by verb, each an async function from the request to the answer. */
export async function serve(handlers) {
  for await (const line of createInterface({input: process.stdin})) {
    let answer;
    try {
      const request = JSON.parse(line);
      const handler = handlers[request.do];
      if (!handler) throw new Error(`unknown request '${request.do}'`);
      answer = {ok: true, ...(await handler(request))};
    } catch (error) {
      answer = {ok: false, error: String(error.message ?? error).split('\n')[0]};
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
}

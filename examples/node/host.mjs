// A host in Node.js: loads the plugin's file, gives it golden records, and takes its changes.
//
// jco turns the component into JavaScript and core WebAssembly modules; the sandbox is that of
// WebAssembly in Node.js. This module implements the contract's streams (wit/streams.wit) and
// gives the plugin clocks, and nothing else of this machine.

import { createHash } from 'node:crypto';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transpile } from '@bytecodealliance/jco';
import * as wasi from '@bytecodealliance/preview2-shim';

/** Rows that the plugin is given at once, at most. */
const BATCH = 4096;

/** A plugin that was loaded from its file. */
export class Plugin {
  /** SHA-256 of the file: what a grant pins. */
  digest;
  #instantiate;
  #modules = new Map();

  /** @param {string} path */
  static async load(path) {
    const plugin = new Plugin();
    const bytes = await readFile(path);
    plugin.digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const { files } = await transpile(bytes, { name: 'plugin', instantiation: 'async', noTypescript: true });
    const dir = await mkdtemp(join(tmpdir(), 'plugin-'));
    try {
      for (const [name, contents] of Object.entries(files)) {
        if (name.endsWith('.wasm')) {
          plugin.#modules.set(name, await WebAssembly.compile(contents));
        } else {
          await mkdir(dirname(join(dir, name)), { recursive: true });
          await writeFile(join(dir, name), contents);
        }
      }
      const transpiled = await import(pathToFileURL(join(dir, 'plugin.js')).href);
      plugin.#instantiate = transpiled.instantiate;
    } finally {
      await rm(dir, { recursive: true });
    }
    return plugin;
  }

  /** What the plugin is, serves and asks for. */
  async describe() {
    return (await this.#instance(refuse('describing'))).describe();
  }

  /**
   * Plans offline.
   *
   * @param {{destinationType: string, entityType: string, config: object, baseUrl: string}} target
   * @param {Array<Record<string, string | null>>} records golden records with the same columns
   */
  async plan(target, records) {
    const { describe, plan } = await this.#instance(refuse('planning offline'));
    const served = describe().destinations.map((it) => it.name);
    if (!served.includes(target.destinationType)) {
      throw new Error(`the plugin does not serve \`${target.destinationType}\`; it serves ${served.join(', ')}`);
    }
    const sink = new PlanSink();
    plan({ ...target, config: JSON.stringify(target.config) }, 'offline', new Records(records, sink), sink);
    return sink.finish();
  }

  /** An instance for one call: nothing is carried over to the next. */
  async #instance(handle) {
    const { cli, clocks, http, io } = wasi;
    const imports = {
      'reverse-sync:destination/streams': { Records, PlanSink, Confirmed, OutcomeSink, VerifySink },
      'wasi:cli/environment': { getEnvironment: () => [], getArguments: () => [], initialCwd: () => undefined },
      'wasi:cli/exit': { exit: () => { throw new Error('the plugin ended itself'); } },
      'wasi:cli/stdin': cli.stdin,
      'wasi:cli/stdout': cli.stdout,
      'wasi:cli/stderr': cli.stderr,
      'wasi:cli/terminal-input': cli.terminalInput,
      'wasi:cli/terminal-output': cli.terminalOutput,
      'wasi:cli/terminal-stdin': cli.terminalStdin,
      'wasi:cli/terminal-stdout': cli.terminalStdout,
      'wasi:cli/terminal-stderr': cli.terminalStderr,
      'wasi:clocks/monotonic-clock': clocks.monotonicClock,
      'wasi:http/outgoing-handler': { handle },
      'wasi:http/types': http.types,
      'wasi:io/error': io.error,
      'wasi:io/poll': io.poll,
      'wasi:io/streams': io.streams,
    };
    return (await this.#instantiate((name) => this.#modules.get(name), imports)).destination;
  }
}

/** Lets no request leave. */
function refuse(when) {
  return () => {
    throw Object.assign(new Error(`the plugin sent a request while ${when}`), { payload: { tag: 'HTTP-request-denied' } });
  };
}

/** The golden records, read once from the first to the last. */
class Records {
  #records;
  #names;
  #sink;
  #read = 0;

  constructor(records, sink) {
    this.#records = records;
    this.#names = Object.keys(records[0] ?? {});
    this.#sink = sink;
  }

  next(max) {
    const rows = this.#records.slice(this.#read, this.#read + Math.min(max, BATCH));
    if (rows.length === 0) return undefined;
    const firstRow = this.#read + 1;
    this.#read += rows.length;
    this.#sink.read = this.#read;
    const columns = this.#names.map((name) => column(name, rows.map((row) => row[name] ?? null)));
    return { firstRow: BigInt(firstRow), length: rows.length, columns };
  }
}

/** The host's part of a plan: it counts, so that a plugin cannot lose a row or invent one. */
class PlanSink {
  /** Rows that were handed out. */
  read = 0;
  #decided = new Set();
  #last = 0;
  #changes = [];
  #skipped = {};
  #warnings = [];
  #guards = [];

  push({ rows, ids, fields }) {
    const [allIds, allFields] = [unpack(ids), unpack(fields)];
    if (allIds.length !== rows.length || allFields.length !== rows.length) throw new Error('a batch whose columns differ in length');
    rows.forEach((row, at) => {
      this.#decide(Number(row));
      if (Number(row) <= this.#last) throw new Error(`row ${row} was planned after row ${this.#last}`);
      this.#last = Number(row);
      this.#changes.push({ row: Number(row), provider_id: allIds[at], fields: JSON.parse(allFields[at]) });
    });
  }

  skip({ rows, reason }) {
    rows.forEach((row) => this.#decide(Number(row)));
    if (rows.length > 0) this.#skipped[reason] = (this.#skipped[reason] ?? 0) + rows.length;
  }

  #decide(row) {
    if (row < 1 || row > this.read) throw new Error(`row ${row} was decided before it was read`);
    if (this.#decided.has(row)) throw new Error(`row ${row} was decided twice`);
    this.#decided.add(row);
  }

  dropColumn() {}
  joined() {}
  warn(message) { this.#warnings.push(message); }
  guard(name, message) { this.#guards.push({ name, message }); }
  flag({ guard, what, rows }) { this.#guards.push({ name: guard, message: `${rows.length} ${what}` }); }

  finish() {
    if (this.#decided.size !== this.read) throw new Error(`${this.read - this.#decided.size} rows were neither planned nor skipped`);
    return { total: this.read, changes: this.#changes, skipped: this.#skipped, warnings: this.#warnings, guards: this.#guards };
  }
}

/** A plan hands out and takes none of these. */
class Confirmed {}
class OutcomeSink {}
class VerifySink {}

/** One column of texts, packed as Arrow packs them. */
function column(name, values) {
  const packed = pack(values.map((value) => value ?? ''));
  const valid = new Uint8Array(Math.ceil(values.length / 8));
  values.forEach((value, at) => { if (value !== null) valid[at >> 3] |= 1 << (at & 7); });
  return { name, values: { tag: 'text', val: packed }, valid };
}

function pack(texts) {
  const offsets = new Uint32Array(texts.length + 1);
  texts.forEach((text, at) => { offsets[at + 1] = offsets[at] + Buffer.byteLength(text); });
  return { bytes: texts.join(''), offsets };
}

function unpack({ bytes, offsets }) {
  const utf8 = Buffer.from(bytes);
  return [...offsets].slice(1).map((end, at) => utf8.toString('utf8', offsets[at], end));
}

// A host in Node.js: loads the plugin's file, gives it golden records, and takes its changes.
//
// jco turns the component into JavaScript and core WebAssembly modules; the sandbox is that of
// WebAssembly in Node.js. This module implements the contract's streams (wit/streams.wit); what the
// plugin gets of WASI is in wasi.mjs, what may leave in gate.mjs.

import { createHash } from 'node:crypto';
import { mkdtemp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transpile } from '@bytecodealliance/jco';
import { Gate } from './gate.mjs';
import { wasi } from './wasi.mjs';

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
    return this.#call(nothing, (plugin) => plugin.describe());
  }

  /** What it says of one destination type. */
  async #served(name) {
    const { destinations } = await this.describe();
    const served = destinations.find((it) => it.name === name);
    const names = destinations.map((it) => it.name).join(', ');
    if (!served) throw new Error(`the plugin does not serve \`${name}\`; it serves ${names}`);
    return served;
  }

  /**
   * Plans offline.
   *
   * @param {{destinationType: string, entityType: string, config: object, baseUrl: string}} target
   * @param {Array<Record<string, string | null>>} records golden records with the same columns
   */
  async plan(target, records) {
    await this.#served(target.destinationType);
    const sink = new PlanSink();
    await this.#call(nothing, (plugin) => plugin.plan(wire(target), 'offline', new Records(records, sink), sink));
    const plan = sink.finish();
    const confirmable = JSON.stringify([this.digest, target, plan.changes, plan.joined]);
    const id = `plan_${createHash('sha256').update(confirmable).digest('hex').slice(0, 32)}`;
    return { id, plugin: this.digest, ...plan };
  }

  /**
   * Runs an offline plan that somebody has confirmed: nothing leaves but updates of its records with its values, and
   * reads of them. What every change came to.
   *
   * @param {object} target as it was planned for
   * @param {object} plan
   * @param {string} token of the CRM; the plugin never sees it
   */
  async run(target, plan, token) {
    const gate = new Gate(target.baseUrl, await this.#served(target.destinationType), target.config, plan.changes);
    const evidence = new Evidence(plan.changes, gate);
    const send = (request) => {
      const { effect, ids } = gate.admit(request);
      evidence.sent(effect, ids);
      const headers = [...request.headers, ['authorization', `Bearer ${token}`]];
      return { effect, ids, request: { ...request, headers, body: request.body || undefined } };
    };
    const settled = ({ effect, ids }, status) => evidence.answered(effect, ids, status);
    let error;
    try {
      await this.#call({ send, settled }, (plugin) => plugin.run(wire(target), 'offline', new Confirmed(plan, evidence), new OutcomeSink(evidence)));
    } catch (thrown) {
      // The plugin's own error: changes without an outcome stay as they are.
      if (!thrown?.payload?.kind) throw thrown;
      error = thrown.payload;
    }
    return { ...evidence.finish(), ...(error && { stopped: `${error.kind}: ${error.message}` }) };
  }

  /** A call in an instance of its own: nothing is carried over to the next. */
  async #call({ send, settled }, call) {
    const { imports, close } = wasi(send, settled);
    try {
      const streams = { Records, PlanSink, Confirmed, OutcomeSink, VerifySink };
      const all = { ...imports, 'reverse-sync:destination/streams': streams };
      return call((await this.#instantiate((name) => this.#modules.get(name), all)).destination);
    } finally {
      await close();
    }
  }
}

/** A target as the contract has it. */
const wire = (target) => ({ ...target, config: JSON.stringify(target.config) });

/** Lets no request leave. */
const nothing = {
  send() { throw new Error('nothing leaves while describing and planning offline'); },
  settled() {},
};

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
  #joined = [];

  push({ rows, ids, fields }) {
    const [allIds, allFields] = [unpack(ids), unpack(fields)];
    if (allIds.length !== rows.length || allFields.length !== rows.length) throw new Error('a batch whose columns differ in length');
    rows.forEach((row, at) => {
      this.#decide(Number(row));
      if (Number(row) <= this.#last) throw new Error(`row ${row} was planned after row ${this.#last}`);
      this.#last = Number(row);
      this.#changes.push({ row: Number(row), provider_id: allIds[at], fields: allFields[at] });
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
  joined(field) { this.#joined.push(field); }
  warn(message) { this.#warnings.push(message); }
  guard(name, message) { this.#guards.push({ name, message }); }
  flag({ guard, what, rows }) { this.#guards.push({ name: guard, message: `${rows.length} ${what}` }); }

  finish() {
    if (this.#decided.size !== this.read) throw new Error(`${this.read - this.#decided.size} rows were neither planned nor skipped`);
    return { total: this.read, changes: this.#changes, skipped: this.#skipped, joined: this.#joined, warnings: this.#warnings, guards: this.#guards };
  }
}

/** The changes that somebody confirmed. */
class Confirmed {
  #plan;
  #evidence;
  #next = 0;

  constructor(plan, evidence) {
    this.#plan = plan;
    this.#evidence = evidence;
  }

  next(max) {
    const changes = this.#plan.changes.slice(this.#next, this.#next + max);
    if (changes.length === 0) return undefined;
    this.#next += changes.length;
    this.#evidence.handOut(changes);
    return {
      rows: BigUint64Array.from(changes, ({ row }) => BigInt(row)),
      ids: pack(changes.map((it) => it.provider_id)),
      fields: pack(changes.map((it) => it.fields)),
      doubtful: false,
    };
  }
  joined() { return this.#plan.joined; }
  remaining() { return BigInt(this.#plan.changes.length - this.#next); }
  recall() { return []; }
  stopping() { return false; }
}

/** What the plugin says became of the changes. */
class OutcomeSink {
  #evidence;

  constructor(evidence) {
    this.#evidence = evidence;
  }

  push({ rows, statuses, problems }) {
    const whys = new Map(problems.map((it) => [Number(it.row), `${it.code}: ${it.message}`]));
    rows.forEach((row, at) => this.#evidence.report(Number(row), statuses[at], whys.get(Number(row))));
  }
  remember() { throw new Error('this host keeps no notes: it runs no bulk jobs'); }
}

/** What the host saw of each change. An outcome that it does not show is unknown. */
class Evidence {
  #changes;
  #byId;
  #gate;
  #outcomes = new Map();

  constructor(changes, gate) {
    this.#changes = new Map(changes.map((it) => [it.row, { id: it.provider_id }]));
    this.#byId = new Map([...this.#changes.values()].map((it) => [it.id, it]));
    this.#gate = gate;
  }

  handOut(changes) {
    changes.forEach(({ row }) => { this.#changes.get(row).handedOut = true; });
  }

  sent(effect, ids) {
    if (effect === 'write') ids.forEach((id) => Object.assign(this.#byId.get(id), { sent: true, read: false }));
  }

  answered(effect, ids, status) {
    const is = effect === 'write' ? 'acknowledged' : 'read';
    if (status >= 200 && status < 300) ids.forEach((id) => { this.#byId.get(id)[is] = true; });
  }

  report(row, status, why) {
    const change = this.#changes.get(row);
    if (!change?.handedOut || this.#outcomes.has(row)) throw new Error(`an outcome for row ${row}, which is not in hand`);
    const shown = {
      updated: change.acknowledged || (change.sent && change.read),
      unchanged: change.read && !change.sent,
      drifted: change.read && !change.sent,
      failed: true,
      unknown: true,
    }[status];
    this.#outcomes.set(row, shown ? { status, why } : { status: 'unknown', why: `called ${status}, and no answer shows it` });
    this.#gate.settle(change.id);
  }

  finish() {
    const outcomes = [...this.#changes].map(([row, change]) => {
      const missing = { status: change.handedOut ? 'unknown' : 'pending', why: 'the plugin did not say' };
      return { row, provider_id: change.id, ...(this.#outcomes.get(row) ?? missing) };
    });
    const counts = {};
    outcomes.forEach(({ status }) => { counts[status] = (counts[status] ?? 0) + 1; });
    return { counts, outcomes };
  }
}

/** Nothing is verified here. */
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

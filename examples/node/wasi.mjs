// What the plugin gets of WASI: a clock, and requests that the host sends for it. No file, no variable, no socket.
//
// The plugin's calls do not wait for promises, so a thread of its own fetches, and this one sleeps until it is done.

import { MessageChannel, Worker, receiveMessageOnPort } from 'node:worker_threads';

/** Bytes of a body that the plugin may send, and of what it writes to standard error. */
const MAX_BODY = 16 << 20;

/** Fetches in a thread of its own. */
class Fetcher {
  #worker;
  #port;
  #counter = new Int32Array(new SharedArrayBuffer(4));
  #answers = new Map();
  #next = 0;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const workerData = { port: port2, counter: this.#counter };
    this.#worker = new Worker(new URL('./fetch-worker.mjs', import.meta.url), { workerData, transferList: [port2] });
  }

  /** Sends a request. The function that is returned has its answer once it is there. */
  start(request) {
    const id = this.#next++;
    this.#worker.postMessage({ id, ...request });
    return () => {
      for (let message = receiveMessageOnPort(this.#port); message; message = receiveMessageOnPort(this.#port)) {
        this.#answers.set(message.message.id, message.message.answer);
      }
      return this.#answers.get(id);
    };
  }

  /** Sleeps until one of these is ready. */
  wait(pollables) {
    for (;;) {
      const seen = Atomics.load(this.#counter, 0);
      if (pollables.some((it) => it.ready())) return;
      const deadlines = pollables.map((it) => it.deadline).filter((it) => it !== undefined);
      const left = deadlines.map((it) => Number(it - process.hrtime.bigint()) / 1e6);
      Atomics.wait(this.#counter, 0, seen, left.length > 0 ? Math.max(0, Math.min(...left)) : Infinity);
    }
  }

  close() {
    return this.#worker.terminate();
  }
}

class Pollable {
  constructor(fetcher, isReady, deadline) {
    this.fetcher = fetcher;
    this.ready = isReady;
    this.deadline = deadline;
  }
  block() { this.fetcher.wait([this]); }
}

const always = (fetcher) => new Pollable(fetcher, () => true);

/** The imports of one instance. `send` decides about each request: it returns what is to be fetched, or throws what keeps it here. */
export function wasi(send, settled) {
  let fetcher;
  const fetching = () => (fetcher ??= new Fetcher());

  class Fields {
    list = [];
    get(name) { return this.list.filter(([key]) => key === name.toLowerCase()).map(([, value]) => value); }
    append(name, value) { this.list.push([name.toLowerCase(), value]); }
  }
  class InputStream {
    constructor(bytes) { this.bytes = bytes; }
    read(length) {
      if (this.bytes.length === 0) throw { tag: 'closed' };
      const part = this.bytes.subarray(0, Number(length));
      this.bytes = this.bytes.subarray(part.length);
      return part;
    }
    blockingRead(length) { return this.read(length); }
    subscribe() { return always(fetching()); }
  }
  class OutputStream {
    parts = [];
    size = 0;
    checkWrite() { return 1n << 16n; }
    write(bytes) {
      this.size += bytes.length;
      if (this.size > MAX_BODY) throw { tag: 'closed' };
      this.parts.push(bytes.slice());
    }
    blockingWriteAndFlush(bytes) { this.write(bytes); }
    flush() {}
    blockingFlush() {}
    subscribe() { return always(fetching()); }
  }
  class OutgoingBody {
    stream = new OutputStream();
    write() { return this.stream; }
    static finish(body) {
      body.finished = true;
      body.future?.send();
    }
  }
  class OutgoingRequest {
    method = 'GET';
    content = new OutgoingBody();
    constructor(headers) { this.fields = headers; }
    body() { return this.content; }
    setMethod({ tag, val }) { this.method = val ?? tag.toUpperCase(); }
    setPathWithQuery(path) { this.path = path ?? '/'; }
    setScheme(scheme) { this.scheme = scheme?.val ?? scheme?.tag.toLowerCase(); }
    setAuthority(authority) { this.authority = authority; }
  }
  class FutureIncomingResponse {
    constructor(request) {
      this.request = request;
      request.content.future = this;
      if (request.content.finished) this.send();
    }
    /** All of the request is there. */
    send() {
      const { method, scheme, authority, path, fields, content } = this.request;
      const decoder = new TextDecoder();
      const headers = fields.list.map(([name, value]) => [name, decoder.decode(value)]);
      const body = decoder.decode(Buffer.concat(content.stream.parts));
      try {
        this.sent = send({ method, url: `${scheme}://${authority}${path}`, headers, body });
        this.answer = fetching().start(this.sent.request);
      } catch (error) {
        console.error(`a request was refused: ${error.message}`);
        this.answer = () => ({ refused: true });
      }
    }
    subscribe() { return new Pollable(fetching(), () => this.answer?.() !== undefined); }
    get() {
      const answer = this.answer?.();
      if (answer === undefined) return undefined;
      if (this.taken) return { tag: 'err' };
      this.taken = true;
      if (answer.refused) return { tag: 'ok', val: { tag: 'err', val: { tag: 'HTTP-request-denied' } } };
      settled(this.sent, answer.status);
      // Whether it has arrived, nobody knows.
      if (answer.failed) return { tag: 'ok', val: { tag: 'err', val: { tag: 'connection-terminated' } } };
      return { tag: 'ok', val: { tag: 'ok', val: new IncomingResponse(answer) } };
    }
  }
  class IncomingResponse {
    constructor(answer) { this.answer = answer; }
    status() { return this.answer.status; }
    headers() {
      const fields = new Fields();
      this.answer.headers.forEach(([name, value]) => fields.append(name, new TextEncoder().encode(value)));
      return fields;
    }
    consume() { return new IncomingBody(this.answer.body); }
  }
  class IncomingBody {
    constructor(bytes) { this.bytes = bytes; }
    stream() { return new InputStream(this.bytes); }
  }
  class RequestOptions {}
  class TerminalInput {}
  class TerminalOutput {}

  const subscribeDuration = (nanoseconds) => {
    const deadline = process.hrtime.bigint() + nanoseconds;
    return new Pollable(fetching(), () => process.hrtime.bigint() >= deadline, deadline);
  };
  const poll = (pollables) => {
    fetching().wait(pollables);
    return Uint32Array.from(pollables.flatMap((it, at) => (it.ready() ? [at] : [])));
  };
  const imports = {
    'wasi:cli/environment': { getEnvironment: () => [] },
    'wasi:cli/exit': { exit: () => { throw new Error('the plugin ended itself'); } },
    'wasi:cli/stdin': { getStdin: () => new InputStream(new Uint8Array()) },
    'wasi:cli/stdout': { getStdout: () => new OutputStream() },
    'wasi:cli/stderr': { getStderr: () => new OutputStream() },
    'wasi:cli/terminal-input': { TerminalInput },
    'wasi:cli/terminal-output': { TerminalOutput },
    'wasi:cli/terminal-stdin': { getTerminalStdin: () => undefined },
    'wasi:cli/terminal-stdout': { getTerminalStdout: () => undefined },
    'wasi:cli/terminal-stderr': { getTerminalStderr: () => undefined },
    'wasi:clocks/monotonic-clock': { now: () => process.hrtime.bigint(), subscribeDuration },
    'wasi:http/outgoing-handler': { handle: (request) => new FutureIncomingResponse(request) },
    'wasi:http/types': { Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, OutgoingBody, OutgoingRequest, RequestOptions },
    'wasi:io/error': { Error: class {} },
    'wasi:io/poll': { Pollable, poll },
    'wasi:io/streams': { InputStream, OutputStream },
  };
  return { imports, close: () => fetcher?.close() };
}

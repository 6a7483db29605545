// Fetches what the host's thread asks for, and wakes it when an answer is there.

import { parentPort, workerData } from 'node:worker_threads';

const { port, counter } = workerData;

parentPort.on('message', async ({ id, url, method, headers, body }) => {
  let answer;
  try {
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal: AbortSignal.timeout(60_000) });
    answer = { status: response.status, headers: [...response.headers], body: new Uint8Array(await response.arrayBuffer()) };
  } catch {
    answer = { failed: true };
  }
  port.postMessage({ id, answer });
  Atomics.add(counter, 0, 1);
  Atomics.notify(counter, 0);
});

// The API: same origin, the session's cookie, and a header that no other site can make a browser send.

// What a status means for a person; what exactly is wrong stands below it, in the server's own words.
const TITLES = {
  400: 'This cannot be done like that', 401: 'Not signed in', 403: 'This is not allowed', 404: 'This is not here', 409: 'Not as things are now', 410: 'This is not kept any more',
  413: 'This is too large', 415: 'This kind of file cannot be read', 422: 'Something has to be put right', 424: 'The CRM did not go along', 429: 'Too much for now', 500: 'The server has failed',
  502: 'There is no answer of use', 503: 'Not available at present', 504: 'There was no answer in time',
};

/** What went wrong, in words for the person in front of the page. */
export class Problem extends Error {
  constructor({ status = 0, title, detail, code, pointer, request_id: requestId, retryAfter }) {
    super(detail || title || `The server answered ${status}.`);
    Object.assign(this, { status, title: TITLES[status] || title || 'Something went wrong', code, pointer, requestId, retryAfter });
  }
}

/** Whether an error only says that somebody moved on to another view. */
export const isAbort = error => error?.name === 'AbortError';

/** Heard by the shell: the session has ended. */
export const SIGNED_OUT = 'reverse-sync:signed-out';

/** Calls the API. A body is sent as JSON. Answers the JSON, or null where there is none. */
export async function call(method, path, { body, query, headers, signal } = {}) {
  const sent = { accept: 'application/json', ...headers };
  if (method !== 'GET') sent['x-reverse-sync'] = '1';
  if (body !== undefined) sent['content-type'] = 'application/json';
  let response;
  try {
    response = await fetch(path + queryString(query), {
      method, headers: sent, signal, credentials: 'same-origin', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, name => response.headers.get(name), path);
  return text && /json/.test(response.headers.get('content-type') || '') ? JSON.parse(text) : null;
}

export const get = (path, options) => call('GET', path, options);
export const post = (path, body, options) => call('POST', path, { ...options, body: body ?? {} });
export const patch = (path, body, options) => call('PATCH', path, { ...options, body });
export const remove = (path, options) => call('DELETE', path, options);

/** Sends a file as it is. `progress` hears the share that has left, 0 to 1: only XMLHttpRequest tells it. */
export function upload(path, file, headers, { progress, signal } = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', path);
    for (const [name, value] of Object.entries({ accept: 'application/json', 'x-reverse-sync': '1', ...headers })) request.setRequestHeader(name, value);
    request.upload.onprogress = event => event.lengthComputable && progress?.(event.loaded / event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemOf(request.status, request.responseText, name => request.getResponseHeader(name), path));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

/** All items of a list that is known to be short. */
export async function all(path, options = {}) {
  const items = [];
  let after;
  do {
    const page = await get(path, { ...options, query: { ...options.query, after, limit: 500 } });
    items.push(...page.items);
    after = page.next;
  } while (after);
  return items;
}

/** `/a/{}/b` with its parts escaped. */
export const path = (strings, ...parts) => String.raw({ raw: strings }, ...parts.map(encodeURIComponent));

/** A key that makes repeating a request harmless. */
export function idempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}

function queryString(query) {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return entries.length ? `?${new URLSearchParams(entries)}` : '';
}

function unreachable() {
  return new Problem({ title: 'The server cannot be reached', detail: 'No answer came. Is it still running? Nothing is known about what was asked for.' });
}

function problemOf(status, text, header, path) {
  let body = {};
  try {
    const parsed = JSON.parse(text);
    if (parsed && typeof parsed === 'object') body = parsed;
  } catch {
    // Something between the page and the service has answered.
  }
  const retryAfter = header('retry-after');
  const problem = new Problem({ ...body, status, retryAfter, request_id: body.request_id || header('x-request-id') });
  if (status === 401 && !path.startsWith('/session')) window.dispatchEvent(new CustomEvent(SIGNED_OUT));
  return problem;
}

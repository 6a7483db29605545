// The API: same origin, the session's cookie, and a header that no other site can make a browser send.
//
// What each route takes and answers is known from the service's description: see `types/api.d.ts`.

/** @import { Answer, Asked, At, Item, ListRoute, Method, Page, ProblemJson, Route } from '../types/api' */

// What a status means for a person; what exactly is wrong stands below it, in the server's own words.
/** @type {Record<number, string>} */
const TITLES = {
  400: 'This cannot be done like that', 401: 'Not signed in', 403: 'This is not allowed', 404: 'This is not here', 409: 'Not as things are now', 410: 'This is not kept any more',
  413: 'This is too large', 415: 'This kind of file cannot be read', 422: 'Something must be put right', 424: 'The CRM did not go along', 429: 'Too much for now', 500: 'The server has failed',
  502: 'There is no answer of use', 503: 'Not available at present', 504: 'There was no answer in time',
};

/** What went wrong, in words for the person in front of the page. */
export class Problem extends Error {
  /** @param {Partial<ProblemJson> & { retryAfter?: string | null }} what */
  constructor({ status = 0, title, detail, code, pointer, request_id: requestId, retryAfter }) {
    super(detail || title || `The server answered ${status}.`);
    this.status = status;
    this.title = TITLES[status] || title || 'Something went wrong';
    this.code = code;
    this.pointer = pointer;
    this.requestId = requestId;
    this.retryAfter = retryAfter;
  }
}

/** Whether an error only says that somebody moved on to another view. */
export const isAbort = (/** @type {unknown} */ error) => error instanceof Error && error.name === 'AbortError';

/** Heard by the shell: the session has ended. */
export const SIGNED_OUT = 'reverse-sync:signed-out';

/** Heard by the shell: a list has entries that the service cannot read. */
export const UNREADABLE = 'reverse-sync:unreadable';

/**
 * Calls the API. A body is sent as JSON. Answers the JSON, or null where there is none.
 *
 * @param {Method} method
 * @param {string} route
 * @param {{ at?: unknown, query?: unknown, headers?: Record<string, string>, body?: unknown, signal?: AbortSignal }} [options]
 */
async function call(method, route, { at, body, query, headers, signal } = {}) {
  /** @type {Record<string, string>} */
  const sent = { accept: 'application/json', ...headers };
  if (method !== 'get') sent['x-reverse-sync'] = '1';
  if (body !== undefined) sent['content-type'] = 'application/json';
  const to = filled(route, at);
  let response;
  try {
    response = await fetch(to + queryString(query), {
      method: method.toUpperCase(), headers: sent, signal, credentials: 'same-origin', redirect: 'error',
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) throw problemOf(response.status, text, name => response.headers.get(name), to);
  const answer = text && /json/.test(response.headers.get('content-type') || '') ? JSON.parse(text) : null;
  if (answer?.unreadable) window.dispatchEvent(new CustomEvent(UNREADABLE, { detail: answer.unreadable }));
  return answer;
}

/**
 * @template {Route<'get'>} R
 * @param {R} route
 * @param {Asked<R, 'get'>} asked
 * @returns {Promise<Answer<R, 'get'>>}
 */
export const get = (route, ...[options]) => call('get', route, options);

/**
 * @template {Route<'post'>} R
 * @param {R} route
 * @param {Asked<R, 'post'>} asked
 * @returns {Promise<Answer<R, 'post'>>}
 */
export const post = (route, ...[options]) => call('post', route, { ...options, body: options?.body ?? {} });

/**
 * @template {Route<'patch'>} R
 * @param {R} route
 * @param {Asked<R, 'patch'>} asked
 * @returns {Promise<Answer<R, 'patch'>>}
 */
export const patch = (route, ...[options]) => call('patch', route, options);

/**
 * @template {Route<'put'>} R
 * @param {R} route
 * @param {Asked<R, 'put'>} asked
 * @returns {Promise<Answer<R, 'put'>>}
 */
export const put = (route, ...[options]) => call('put', route, options);

/**
 * @template {Route<'delete'>} R
 * @param {R} route
 * @param {Asked<R, 'delete'>} asked
 * @returns {Promise<Answer<R, 'delete'>>}
 */
export const remove = (route, ...[options]) => call('delete', route, options);

/**
 * Sends a file as it is. `progress` hears the share that has left, 0 to 1: only XMLHttpRequest tells it.
 *
 * @template {Route<'put'>} R
 * @param {R} route
 * @param {At<R>} at
 * @param {File} file
 * @param {Record<string, string>} headers
 * @param {{ progress?: (share: number) => void, signal?: AbortSignal }} [options]
 * @returns {Promise<Answer<R, 'put'>>}
 */
export function upload(route, at, file, headers, { progress, signal } = {}) {
  const to = filled(route, at);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('PUT', to);
    for (const [name, value] of Object.entries({ accept: 'application/json', 'x-reverse-sync': '1', ...headers })) request.setRequestHeader(name, value);
    request.upload.onprogress = event => event.lengthComputable && progress?.(event.loaded / event.total);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemOf(request.status, request.responseText, name => request.getResponseHeader(name), to));
    };
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new DOMException('aborted', 'AbortError'));
    signal?.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}

/**
 * All items of a list that is known to be short.
 *
 * @template {ListRoute} R
 * @param {R} route
 * @param {{ signal?: AbortSignal }} [options]
 */
export async function all(route, { signal } = {}) {
  /** @type {Item<R>[]} */
  const items = [];
  /** @type {string | null | undefined} */
  let after;
  do {
    /** @type {Page<Item<R>>} */
    const page = await call('get', route, { signal, query: { after, limit: 500 } });
    items.push(...page.items);
    after = page.next;
  } while (after);
  return items;
}

/**
 * The path of a route.
 *
 * @template {Route<'get'>} R
 * @param {R} route
 * @param {At<R>} at
 */
export const path = (route, at) => filled(route, at);

/** A route with its parts, which are escaped. */
function filled(/** @type {string} */ route, /** @type {unknown} */ at) {
  const parts = new Map(Object.entries(at ?? {}));
  return route.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(parts.get(name)));
}

/** A key that makes repeating a request harmless. */
export function idempotencyKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, '0')).join('');
}

function queryString(/** @type {unknown} */ query) {
  const entries = Object.entries(query ?? {}).filter(([, value]) => value !== undefined && value !== null && value !== '').map(([name, value]) => [name, String(value)]);
  return entries.length ? `?${new URLSearchParams(entries)}` : '';
}

function unreachable() {
  return new Problem({ title: 'The server cannot be reached', detail: 'No answer came. Is it still running? Nothing is known about what was asked for.' });
}

/**
 * @param {number} status
 * @param {string} text
 * @param {(name: string) => string | null} header
 * @param {string} path
 */
function problemOf(status, text, header, path) {
  /** @type {Partial<ProblemJson>} */
  let body = {};
  try {
    const parsed = JSON.parse(text);
    if (parsed && typeof parsed === 'object') body = parsed;
  } catch {
    // Something between the page and the service has answered.
  }
  const retryAfter = header('retry-after');
  const problem = new Problem({ ...body, status, retryAfter, request_id: body.request_id || (header('x-request-id') ?? undefined) });
  if (status === 401 && !path.startsWith('/session')) window.dispatchEvent(new CustomEvent(SIGNED_OUT));
  return problem;
}

// The gate: what may leave during a run. Each request is held against the capabilities that the plugin asks for
// (wit/capabilities.wit), byte for byte, and against the confirmed changes. Bulk jobs are not for this host.

const ID = /[A-Za-z0-9_-]{1,128}/y;
const STRING = '"(?:[^"\\\\\\x00-\\x1f]|\\\\.)*"';
const TEXT = new RegExp(STRING, 'y');
const NAMES = new RegExp(`\\[(?:${STRING}(?:,${STRING})*)?\\]`, 'y');
const PLACEHOLDERS = ['id', 'fields', 'members', 'names', 'text'];

export class Gate {
  #baseUrl;
  #capabilities;
  #changes;

  /**
   * @param {string} baseUrl
   * @param {object} served the destination type, as the plugin describes it
   * @param {object} config `config_json`
   * @param {Array<{provider_id: string, fields: string}>} changes confirmed by somebody
   */
  constructor(baseUrl, served, config, changes) {
    this.#baseUrl = baseUrl;
    const { properties = {} } = JSON.parse(served.configSchema);
    const value = (key) => config[key] ?? properties[key]?.default;
    // Only what an operator would grant unseen, and reads by POST.
    this.#capabilities = served.capabilities
      .filter(({ phase, effect, body }) => phase === 'run' && effect !== 'job' && body.tag !== 'csv')
      .map((it) => ({ ...it, template: (text) => parts(text, value) }));
    this.#changes = new Map(changes.map((it) => [it.provider_id, it]));
  }

  /** The change of a record has its outcome: nothing is written to it any more. */
  settle(id) {
    this.#changes.delete(id);
  }

  /** What a request does and which records it names. Throws if it may not leave. */
  admit({ method, url, headers, body }) {
    if (!url.startsWith(`${this.#baseUrl}/`)) throw new Error(`${url} is not below ${this.#baseUrl}`);
    const [path, query] = url.slice(this.#baseUrl.length).split('?');
    for (const capability of this.#capabilities) {
      if (capability.method !== method) continue;
      const ids = new Set();
      if (!this.#fits(capability.template(capability.path), path, ids)) continue;
      if (!hasQuery(capability, query) || !hasHeaders(capability, headers, body)) continue;
      if (this.#hasBody(capability, body, ids)) return { effect: capability.effect, ids: [...ids] };
    }
    throw new Error(`${method} ${path} is not what was granted and confirmed`);
  }

  #hasBody({ body: { tag, val }, template }, body, ids) {
    if (tag === 'none') return body === '';
    if (tag === 'one') return this.#fits(template(val), body, ids);
    // Records, separated by commas.
    let at = this.#follow(template(val.open), body, 0, ids);
    const [item, close] = [template(val.item), template(val.close)];
    for (let count = 1; at !== undefined && count <= val.max; count++) {
      const before = ids.size;
      at = this.#follow(item, body, at, ids);
      // A record twice in one request.
      if (at === undefined || ids.size === before) return false;
      const end = this.#follow(close, body, at, ids);
      if (end === body.length) return true;
      at = body[at] === ',' ? at + 1 : undefined;
    }
    return false;
  }

  #fits(template, text, ids) {
    return this.#follow(template, text, 0, ids) === text.length;
  }

  /** Where a text goes on after a template, if it begins with it. */
  #follow(template, text, at, ids) {
    let change;
    for (const { literal, placeholder } of template) {
      let found = literal;
      if (placeholder === 'id') {
        found = match(ID, text, at);
        change = this.#changes.get(found);
        if (change === undefined) return undefined;
        ids.add(found);
      } else if (placeholder === 'fields') {
        found = change?.fields;
      } else if (placeholder === 'members') {
        found = change?.fields.slice(1, -1);
      } else if (placeholder === 'names') {
        found = match(NAMES, text, at);
      } else if (placeholder === 'text') {
        found = match(TEXT, text, at);
      }
      if (found === undefined || !text.startsWith(found, at)) return undefined;
      at += found.length;
    }
    return at;
  }
}

/** The literal texts and placeholders of a template, with the values of the configuration put in. */
function parts(text, value) {
  return text.split(/(\$\{[^}]*\})/).filter((part) => part !== '').map((part) => {
    const name = /^\$\{(.*)\}$/.exec(part)?.[1];
    if (name === undefined) return { literal: part };
    return PLACEHOLDERS.includes(name) ? { placeholder: name } : { literal: String(value(name) ?? part) };
  });
}

function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function hasQuery({ effect, query: allowed }, query) {
  if (query === undefined) return true;
  return effect === 'read' && [...new URLSearchParams(query).keys()].every((key) => allowed.includes(key));
}

function hasHeaders({ headers: wanted }, headers, body) {
  const others = headers.filter(([name, value]) => {
    const isJson = value === 'application/json';
    return !(isJson && (name === 'accept' || (name === 'content-type' && body !== '')));
  });
  return others.length === wanted.length && wanted.every(({ name, value }) => others.some(([key, it]) => key === name && it === value));
}

// The CRM simulator, and golden records for what is in it.

const FIRST_ID = 492_564_112_121;
/** Records with an id; enough that a click does not confirm them. */
export const RECORDS = 1_200;
/** Records that the resolver knows and the CRM does not. */
export const WITHOUT_ID = 14;

export const idOf = n => String(FIRST_ID + 3 * n);

export class Crm {
  constructor(url) {
    this.url = url.replace(/\/$/, '');
  }

  async #ask(method, path, body) {
    const response = await fetch(this.url + path, { method, headers: { 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`the simulator answered ${response.status} to ${method} ${path}: ${await response.text()}`);
    return response;
  }

  contact = async n => (await (await this.#ask('GET', `/_sim/hubspot/contacts/${idOf(n)}`)).json()).properties;
  change = (n, properties) => this.#ask('PATCH', `/_sim/hubspot/contacts/${idOf(n)}`, properties);
  archive = n => this.#ask('POST', `/_sim/hubspot/contacts/${idOf(n)}/archive`);
  fault = rule => this.#ask('POST', '/_sim/faults', rule);
  noFaults = () => this.#ask('DELETE', '/_sim/faults');
}

/**
 * Golden records as CSV, of `records` contacts from the n-th on: a new city for all of them, a job title with much to say for one, and the
 * first name for a few. Other words are other values.
 */
export function goldenCsv({ word = 'Golden', records = RECORDS, from = 0, without = WITHOUT_ID } = {}) {
  const rows = Array.from({ length: records }, (_, at) => at + from)
    .map(n => [idOf(n), n % 100 === 7 ? 'Łucja' : '', `${word} ${['Lyon', 'Ghent', 'Porto', 'Turku'][n % 4]}`, n === 0 ? 'Director of everything that a title can hold '.repeat(6).trim() : `Title ${n}`]);
  const strangers = Array.from({ length: without }, (_, n) => ['', 'Nobody', `Golden ${n}`, '']);
  return ['hs_object_id,firstname,city,jobtitle', ...[...rows, ...strangers].map(row => row.join(','))].join('\n') + '\n';
}

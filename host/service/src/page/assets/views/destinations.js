// The org's destinations, each with its last run; and the first steps, until they are done.

/** @import { Destination, GoldenSet, Plan, Run, Source } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, get } from '../api.js';
import { h } from '../dom.js';
import { code, empty, heading, link, notice, section, statusBadge, table, time } from '../parts.js';
import { can } from '../session.js';
import { countsInWords, number } from '../words.js';
import { PROVIDERS } from './sources.js';

/** Most destinations whose last run is asked for one by one. */
const ASKED = 25;

export async function view(/** @type {Visit} */ { signal }) {
  const [destinations, sources, golden, plans, runs] = await Promise.all([
    all('/destinations', { signal }), all('/sources', { signal }), all('/golden', { signal }), get('/plans', { signal, query: { limit: 1 } }), get('/runs', { signal, query: { limit: 500 } }),
  ]);
  const last = await lastRuns(destinations, runs, signal);
  const names = new Map(sources.map(source => [source.id, source]));
  const create = can('admin') && link('New destination', '#/destinations/new', { class: 'button primary' });
  return h('div',
    heading('Destinations', { intro: 'Where golden records are written: an object of a CRM, by the account of a source.', actions: destinations.length > 0 && create }),
    firstSteps({ sources, golden, destinations, plans: plans.items }),
    destinations.length > 0 ? table('Destinations', [
      { label: 'Name', header: true, cell: item => link(item.name, `#/destinations/${encodeURIComponent(item.id)}`) },
      { label: 'Object', cell: item => String(item.config_json.object ?? 'the default') },
      { label: 'Source', cell: item => sourceOf(item, names) },
      { label: 'Golden records', cell: item => records(golden.find(set => set.entity_type === item.entity_type), item.entity_type) },
      { label: 'Last run', cell: item => lastRun(last.get(item.id)) },
    ], destinations) : sources.length > 0 && golden.length > 0 && !can('admin') && empty('There is no destination yet. An admin of the org can make one.'));
}

function sourceOf(/** @type {Destination} */ item, /** @type {Map<string, Source>} */ sources) {
  const source = sources.get(String(item.config_json.source_id));
  return source ? [source.name, h('span', { class: 'muted small-text' }, PROVIDERS[source.provider] ?? source.provider, source.account && ` ${source.account}`)] : code(String(item.config_json.source_id));
}

const records = (/** @type {GoldenSet | undefined} */ set, /** @type {string} */ entity) => [entity, h('span', { class: 'muted small-text' }, set ? `${number(set.records)} records` : 'none yet')];

/** @param {Run | null | undefined} run Undefined where it is not known, null where there is none. */
function lastRun(run) {
  if (!run) return run === null ? h('span', { class: 'muted' }, 'never') : '–';
  return [link(statusBadge(run), `#/runs/${encodeURIComponent(run.run_id)}`, { class: 'plain', title: run.run_id }), ' ', time(run.started_at ?? run.created_at), h('span', { class: 'muted small-text' }, countsInWords(run))];
}

/**
 * The last run of each destination. The newest runs are there already; what they lack is asked for.
 *
 * @param {Destination[]} destinations
 * @param {{ items: Run[], next?: string | null }} runs
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, Run | null>>}
 */
async function lastRuns(destinations, runs, signal) {
  /** @type {Map<string, Run | null>} */
  const last = new Map();
  for (const run of runs.items) if (!last.has(run.destination_id)) last.set(run.destination_id, run);
  const lacking = destinations.filter(each => !last.has(each.id));
  if (!runs.next) for (const each of lacking) last.set(each.id, null);
  else await Promise.all(lacking.slice(0, ASKED).map(async each => last.set(each.id, (await get('/runs', { signal, query: { destination_id: each.id, limit: 1 } })).items[0] ?? null)));
  return last;
}

/** @param {{ sources: Source[], golden: GoldenSet[], destinations: Destination[], plans: Plan[] }} there */
function firstSteps({ sources, golden, destinations, plans }) {
  const [first] = destinations;
  /** @type {[done: boolean, what: string, why: string, text: string, href: string, may: boolean][]} */
  const steps = [
    [sources.length > 0, 'Connect a source', 'The CRM account, with the credential that writes to it.', 'Connect a source', '#/sources/new', can('admin')],
    [golden.length > 0, 'Upload golden records', "A file with the values to write, each with the id of its CRM record.", 'Upload golden records', '#/golden', can('operator')],
    [destinations.length > 0, 'Make a destination', 'Which column is written to which field of the CRM.', 'Make a destination', '#/destinations/new', can('admin') && sources.length > 0],
    [plans.length > 0, 'Dry run', 'Shows each change before anything is written.', 'Go to the dry run', first ? `#/destinations/${encodeURIComponent(first.id)}` : '#/destinations', Boolean(first) && can('operator')],
  ];
  const next = steps.findIndex(([done]) => !done);
  if (next < 0) return null;
  return section('First steps', h('ol', { class: 'steps' }, steps.map(([done, what, why, text, href, may], at) => h('li', { class: done ? 'done' : '', 'aria-current': at === next ? 'step' : undefined },
    h('span', { class: 'step-mark', 'aria-hidden': 'true' }, done ? '✓' : String(at + 1)),
    h('div', h('strong', what), done && h('span', { class: 'unseen' }, ' (done)'), h('p', { class: 'muted' }, why)),
    !done && may && link(text, href, { class: at === next ? 'button primary' : 'button' })))),
  !can('admin') && next !== 1 && next !== 3 && notice('quiet', null, h('p', 'An admin of the org does the next step.')));
}

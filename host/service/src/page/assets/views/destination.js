// One destination: what it is, a dry run of it, its plans and its runs.

/** @import { Destination, DestinationType, GoldenSet, PlanMode, Source } from '../../types/api' */
/** @import { Child, Visit } from '../../types/dom' */

import { all, get, isAbort, post, remove } from '../api.js';
import { announce, h } from '../dom.js';
import { knownFields } from '../known-fields.js';
import { mappingTable } from '../mapping.js';
import { ask, badge, button, code, copyable, during, facts, heading, link, notice, paged, person, radios, section, slot, table, time } from '../parts.js';
import { can } from '../session.js';
import { DUPLICATES, MODES, count, label, number } from '../words.js';
import { GROUPS, PLANS_READ } from './destination-form.js';
import { runList } from './runs.js';
import { PROVIDERS } from './sources.js';

/** @type {PlanMode[]} */
const PLAN_MODES = ['compare', 'online', 'offline'];

export async function view(/** @type {Visit} */ { params: [id], signal, go }) {
  const destination = await get('/destinations/{destination_id}', { at: { destination_id: id }, signal });
  const [sources, golden, types, known] = await Promise.all([
    all('/sources', { signal }), all('/golden', { signal }), all('/destination-types', { signal }), get('/plans', { signal, query: { destination_id: id, limit: PLANS_READ } }),
  ]);
  const source = sources.find(each => each.id === destination.config_json.source_id);
  const records = golden.find(set => set.entity_type === destination.entity_type);
  const type = types.find(each => each.name === destination.destination_type);
  const runs = runList({ signal, query: { destination_id: id }, limit: 10 });
  const plans = planList(id, signal);
  await Promise.all([runs.restart(), plans.restart()]);
  const config = destination.config_json;
  const idField = typeof config.provider_id_field === 'string' ? config.provider_id_field : undefined;
  const object = objectOf(destination, type);
  return h('div',
    heading(destination.name, { crumb: link('Destinations', '#/destinations'), actions: can('admin') && changing(destination, go) }),
    h('div', { class: 'columns' },
      section('Dry run', dryRun(destination, records, source, signal, go)),
      section('Configuration', facts([
        ['Object', object], ['Source', source ? [source.name, source.account && h('span', { class: 'muted small-text' }, `account ${source.account}`)] : code(String(config.source_id))],
        ['Golden records', [destination.entity_type, records && h('span', { class: 'muted small-text' }, count(records.records, 'record'))]],
        [label('provider_id_field'), code(String(config.provider_id_field))],
        ['Plans', config.compare ? 'compare with the CRM' : 'compare only if asked'],
        ['Duplicate ids', `write ${DUPLICATES[destination.on_duplicate_id] ?? destination.on_duplicate_id}`],
      ]),
      settings(config),
      facts([['Id', copyable(destination.id)], ['Type', code(destination.destination_type)], ['Changed', time(destination.updated_at)]]))),
    section('Mapping', mappingTable(config.fields, {
      columns: records?.columns ?? [], id: idField, crm: PROVIDERS[type?.provider ?? ''] ?? 'the CRM',
      known: knownFields(type?.provider ?? '', object, String(config.source_id), [destination], known.items),
    })),
    section('Runs', runs), section('Plans', plans));
}

/** The object that a destination writes to. */
export const objectOf = (/** @type {Destination} */ { config_json: config }, /** @type {DestinationType | undefined} */ type) => (typeof config.object === 'string' ? config.object : type?.default_object ?? '');

/** What is set besides, in the groups of the form. */
function settings(/** @type {Destination['config_json']} */ config) {
  const set = Object.entries(config).filter(([key]) => !['source_id', 'object', 'provider_id_field', 'fields', 'compare'].includes(key));
  const groups = [...GROUPS, { title: 'Others', keys: set.map(([key]) => key).filter(key => !GROUPS.some(group => group.keys.includes(key))) }];
  return groups.map(({ title, keys }) => ({ title, there: set.filter(([key]) => keys.includes(key)) })).filter(({ there }) => there.length > 0)
    .map(({ title, there }) => h('div', h('h3', title), facts(there.map(([key, value]) => /** @type {[Child, Child]} */ ([label(key), shown(value)])))));
}

/**
 * A setting as people read it.
 *
 * @param {unknown} value
 * @returns {Child}
 */
function shown(value) {
  if (Array.isArray(value)) return value.map((each, at) => [at > 0 && ', ', code(typeof each === 'string' ? each : JSON.stringify(each))]);
  if (value && typeof value === 'object') return h('ul', Object.entries(value).map(([key, inner]) => h('li', code(key), ': ', shown(inner))));
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : code(String(value));
}

/**
 * @param {Destination} destination
 * @param {GoldenSet | undefined} records
 * @param {Source | undefined} source
 * @param {AbortSignal} signal
 * @param {Visit['go']} go
 */
function dryRun(destination, records, source, signal, go) {
  if (!can('operator')) return h('p', { class: 'muted' }, 'Planning needs the role operator.');
  const where = slot();
  const check = source?.last_check?.found;
  const works = Boolean(check?.ok);
  /** @type {PlanMode} */
  let mode = destination.config_json.compare || works ? 'compare' : 'offline';
  const kinds = radios('A dry run writes nothing. It shows what would change.', 'mode', PLAN_MODES.map(key => [key, MODES[key].name, MODES[key].what, key === 'compare' ? badge('recommended', 'good') : null]), mode, value => {
    mode = value;
  });
  const start = button('Dry run', async () => {
    const stop = new AbortController();
    signal.addEventListener('abort', () => stop.abort());
    const plan = await during(start, where, () => post('/destinations/{destination_id}/reverse-dry-run', { at: { destination_id: destination.id }, body: { mode }, signal: stop.signal }).catch(error => {
      if (isAbort(error)) announce('The dry run was given up');
      throw error;
    }), mode === 'offline' ? 'Planning…' : 'Planning, with the CRM…');
    if (plan) go(`#/plans/${encodeURIComponent(plan.plan_id)}`);
  }, { class: 'primary' });
  return [kinds,
    source && !works && notice('warn', null, h('p', check ? 'The last check of the source found a problem, so only Offline will do until it is mended. ' : 'The source was not checked since it was changed. ', link(check ? 'See what it found' : 'Check it', '#/sources'), '.')),
    !records && h('p', { class: 'notice warn' }, `There are no golden records of ${destination.entity_type} yet. `, link('Upload them', '#/golden'), ' first.'), where, h('div', { class: 'actions' }, start)];
}

function changing(/** @type {Destination} */ destination, /** @type {Visit['go']} */ go) {
  return [
    link('Edit', `#/destinations/${encodeURIComponent(destination.id)}/edit`, { class: 'button' }),
    button('Delete', async () => {
      const gone = await ask({
        title: `Delete the destination ${destination.name}?`, action: 'Delete destination', danger: true,
        fields: [h('p', 'Nothing changes in the CRM. Its runs stay in the audit log.')],
        confirm: async () => {
          await remove('/destinations/{destination_id}', { at: { destination_id: destination.id } });
          return true;
        },
      });
      if (gone) go('#/destinations');
    }, { class: 'quiet' }),
  ];
}

function planList(/** @type {string} */ id, /** @type {AbortSignal} */ signal) {
  return paged({
    signal, what: 'plans', none: 'There is no plan yet.',
    load: (after, signal) => get('/plans', { signal, query: { destination_id: id, after, limit: 10 } }),
    show: items => table('Plans', [
      { label: 'Plan', header: true, cell: plan => link(`${plan.plan_id.slice(0, 17)}…`, `#/plans/${encodeURIComponent(plan.plan_id)}`, { title: plan.plan_id }) },
      { label: 'How', cell: plan => (plan.undoes ? `undoes ${plan.undoes}` : MODES[plan.mode].short) },
      { label: 'Would update', class: 'number', cell: plan => number(plan.writable) },
      { label: 'Would skip', class: 'number', cell: plan => number(plan.skipped) },
      { label: 'Guards', cell: plan => (plan.guards.length ? badge(`held back by ${plan.guards.length}`, 'warn') : '–') },
      { label: 'Planned', cell: plan => [time(plan.planned_at), ' by ', person(plan.planned_by)] },
    ], items),
  });
}

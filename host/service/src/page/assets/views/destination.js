// One destination: what it is, a dry run of it, its plans and its runs.

/** @import { Destination, GoldenSet, PlanMode } from '../../types/api' */
/** @import { Child, Visit } from '../../types/dom' */

import { all, get, isAbort, post, remove } from '../api.js';
import { announce, h } from '../dom.js';
import { ask, badge, button, code, copyable, during, facts, heading, link, paged, person, radios, section, slot, table, time } from '../parts.js';
import { can } from '../session.js';
import { DUPLICATES, MODES, number } from '../words.js';
import { runList } from './runs.js';

/** @type {PlanMode[]} */
const PLAN_MODES = ['offline', 'online', 'compare'];

export async function view(/** @type {Visit} */ { params: [id], signal, go }) {
  const destination = await get('/destinations/{destination_id}', { at: { destination_id: id }, signal });
  const [sources, golden] = await Promise.all([all('/sources', { signal }), all('/golden', { signal })]);
  const source = sources.find(each => each.id === destination.config_json.source_id);
  const records = golden.find(set => set.entity_type === destination.entity_type);
  const runs = runList({ signal, query: { destination_id: id }, limit: 10 });
  const plans = planList(id, signal);
  await Promise.all([runs.restart(), plans.restart()]);
  return h('div',
    heading(destination.name, { crumb: link('Destinations', '#/destinations'), actions: can('admin') && changing(destination, go) }),
    h('div', { class: 'columns' },
      section('Dry run', dryRun(destination, records, signal, go)),
      section('Configuration', facts([
        ['Id', copyable(destination.id)],
        ['Type', code(destination.destination_type)],
        ['Source', source ? source.name : code(String(destination.config_json.source_id))],
        ['Golden records', [destination.entity_type, records && ` (${number(records.records)})`]],
        ...Object.entries(destination.config_json).filter(([key]) => key !== 'source_id').map(([key, value]) => /** @type {[Child, Child]} */ ([code(key), shown(value)])),
        ['Duplicate ids', `write ${DUPLICATES[destination.on_duplicate_id] ?? destination.on_duplicate_id}`],
        ['Changed', time(destination.updated_at)],
      ]))),
    section('Runs', runs), section('Plans', plans));
}

function shown(/** @type {unknown} */ value) {
  if (Array.isArray(value)) return value.map(each => [code(typeof each === 'string' ? each : JSON.stringify(each)), ' ']);
  return typeof value === 'object' ? code(JSON.stringify(value)) : code(String(value));
}

/**
 * @param {Destination} destination
 * @param {GoldenSet | undefined} records
 * @param {AbortSignal} signal
 * @param {Visit['go']} go
 */
function dryRun(destination, records, signal, go) {
  if (!can('operator')) return h('p', { class: 'muted' }, 'Planning needs the role operator.');
  const where = slot();
  /** @type {PlanMode} */
  let mode = destination.config_json.compare ? 'compare' : 'offline';
  const kinds = radios('A dry run writes nothing. It shows what would change.', 'mode', PLAN_MODES.map(key => [key, MODES[key].name, MODES[key].what]), mode, value => {
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
  return [kinds, !records && h('p', { class: 'notice warn' }, `There are no golden records of ${destination.entity_type} yet. `, link('Upload them', '#/golden'), ' first.'), where, h('div', { class: 'actions' }, start)];
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

// A plan: what would be written, what would not and why, what is suspicious about it, and the way to a yes.

/** @import { Plan, Run, Source } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, get, isAbort } from '../api.js';
import { announce, h, focusOn } from '../dom.js';
import { confirmRun } from '../confirm.js';
import { changesTable, skippedList } from '../changes.js';
import { bar, sum } from '../counts.js';
import { badge, button, checkbox, code, copyable, facts, heading, link, notice, person, prose, section, slot, statusBadge, time } from '../parts.js';
import { can } from '../session.js';
import { recordId } from '../links.js';
import { objectOf } from './destination.js';
import { MODES, capital, count, dropped, guard, number, reason } from '../words.js';

export async function view(/** @type {Visit} */ { params: [id], query, signal, go }) {
  const plan = await get('/plans/{plan_id}', { at: { plan_id: id }, signal });
  // Whether it was applied already. A list that cannot be had is no reason not to show the plan.
  const applied = await get('/runs', { signal, query: { destination_id: plan.destination_id, limit: 100 } })
    .then(page => page.items.filter(run => run.plan_id === plan.plan_id), () => []);
  const destination = await get('/destinations/{destination_id}', { at: { destination_id: plan.destination_id }, signal }).catch(ignored);
  const [sources, types] = await Promise.all([all('/sources', { signal }), all('/destination-types', { signal })]);
  const source = sources.find(each => each.id === destination?.config_json.source_id);
  const type = types.find(each => each.name === plan.destination.destination_type);
  const object = destination ? objectOf(destination, type) : '';
  const showId = (/** @type {string} */ id) => recordId({ provider: type?.provider ?? '', base_url: plan.base_url, account: plan.account ?? source?.account, object }, id);
  const changes = changesTable(plan, { field: query.get('field') || undefined, provider_id: query.get('provider_id') || undefined }, chosen => {
    const kept = new URLSearchParams(Object.entries(chosen).filter(([, value]) => value));
    history.replaceState(null, '', `#/plans/${encodeURIComponent(id)}${kept.size ? `?${kept}` : ''}`);
  }, showId, signal);
  if (plan.writable > 0) await changes.restart();
  const state = confirmation(plan, applied[0]);
  const guards = guardsPanel(plan, state === 'done');
  return h('div',
    heading(plan.undoes ? ['Plan to undo ', plan.undoes] : `Plan for ${plan.destination.name}`, {
      crumb: [link('Destinations', '#/destinations'), ' / ', link(plan.destination.name, `#/destinations/${encodeURIComponent(plan.destination_id)}`)],
      intro: [badge(MODES[plan.mode].short), ' planned ', time(plan.planned_at), ' by ', person(plan.planned_by)],
    }),
    applied.map(run => notice('quiet', null, h('p', 'This plan was confirmed: ', link(run.run_id, `#/runs/${encodeURIComponent(run.run_id)}`), ' ', statusBadge(run)))),
    counts(plan, changes, signal),
    plan.hint && hint(plan, plan.hint),
    guards.element,
    plan.warnings.length > 0 && section('Warnings', h('ul', { class: 'warnings' }, plan.warnings.map(text => h('li', prose(text))))),
    plan.writable > 0 && section('Changes', changes.element),
    section('About this plan', facts([
      ['Plan', copyable(plan.plan_id)], ['Destination', plan.destination.name], ['Type', code(plan.destination.destination_type)], ['Account', plan.account && code(plan.account)],
      ['Host', plan.base_url ? code(plan.base_url) : null], ['Plugin', code(plan.component)],
    ])),
    plan.writable > 0 && h('section', { class: 'panel decide', 'aria-label': 'Confirm' }, decide(plan, guards, state, source, go)));
}

/**
 * The plan in short: how many, which fields, what is left out and why.
 *
 * @param {Plan} plan
 * @param {ReturnType<typeof changesTable>} changes
 * @param {AbortSignal} signal
 */
function counts(plan, changes, signal) {
  const undo = Boolean(plan.undoes);
  const why = Object.entries(plan.skipped_by_reason).sort(([, a], [, b]) => b - a);
  return section('What would happen',
    sum([
      { value: plan.total, text: undo ? 'records were written by that run' : plan.total === 1 ? 'golden record' : 'golden records' },
      { name: 'updated', value: plan.writable, text: undo ? 'would be put back' : 'would be updated' },
      { name: 'skipped', value: plan.skipped, text: undo ? 'would be left alone' : 'would be skipped' },
    ]),
    bar([['updated', plan.writable], ['skipped', plan.skipped]]),
    why.length > 0 && h('ul', { class: 'reasons' }, why.map(([name, many]) => h('li', h('strong', number(many)), ' ', reason(name), ' ', code(name)))),
    plan.skipped > 0 && skippedList(plan, reason, signal),
    fieldsWritten(plan, changes), fieldsDropped(plan));
}

/** Why nothing would be written. */
function hint(/** @type {Plan} */ plan, /** @type {string} */ text) {
  const already = plan.skipped_by_reason.unchanged ?? 0;
  if (already > 0) return notice('good', 'Nothing is left to write', h('p', `${count(already, 'record')} in the CRM already ${already === 1 ? 'holds' : 'hold'} what would be written.`));
  return notice('warn', plan.undoes ? 'Nothing would be put back' : 'Nothing would be written', h('p', prose(capital(text))));
}

/** Guards in words, each with its own override. One name may have tripped for several fields: it is overridden once. */
function guardsPanel(/** @type {Plan} */ plan, /** @type {boolean} */ done) {
  const names = [...new Set(plan.guards.map(each => each.name))];
  /** @type {Map<string, HTMLInputElement>} */
  const boxes = new Map();
  const mayOverride = can('operator') && plan.writable > 0 && !done;
  const element = names.length > 0 && h('section', { class: 'panel guards', 'aria-label': 'Guards' },
    h('h2', done ? `${count(names.length, 'guard')} tripped` : `Held back by ${count(names.length, 'guard')}`),
    h('p', { class: 'help' }, 'What is suspicious about the plan as a whole.', mayOverride && ' Look at each; if it is intended, override it.'),
    names.map(name => {
      const box = mayOverride && checkbox(['Override ', code(name)], { help: 'I have looked at this, and it is intended.' });
      if (box) boxes.set(name, box.control);
      return h('div', { class: 'guard' }, h('h3', guard(name)), plan.guards.filter(each => each.name === name).map(each => h('p', prose(each.message))), box);
    }));
  return {
    element,
    overridden: () => names.filter(name => boxes.get(name)?.checked),
    firstHeld: () => boxes.get(names.find(name => !boxes.get(name)?.checked) ?? ''),
  };
}

/** A plan is written once; a newer dry run that comes to the same plan may be confirmed anew. Answers `open`, `stopped` (there is a run to resume) or `done`. */
function confirmation(/** @type {Plan} */ plan, /** @type {Run | undefined} */ latest) {
  if (!latest || new Date(latest.created_at) < new Date(plan.planned_at)) return 'open';
  return latest.status === 'stopped' ? 'stopped' : 'done';
}

/**
 * @param {Plan} plan
 * @param {ReturnType<typeof guardsPanel>} guards
 * @param {ReturnType<typeof confirmation>} state
 * @param {Source | undefined} source
 * @param {Visit['go']} go
 */
function decide(plan, guards, state, source, go) {
  if (state === 'done') {
    return h('p', h('strong', 'This plan was confirmed already.'), ' To write again, make ', link('another dry run', `#/destinations/${encodeURIComponent(plan.destination_id)}`), '.');
  }
  if (!can('operator')) return h('p', { class: 'muted' }, 'Confirming needs the role operator. Nothing was written.');
  const where = slot();
  const yes = button(plan.undoes ? `Put back ${count(plan.writable, 'record')}…` : `Update ${count(plan.writable, 'record')}…`, async () => {
    const held = guards.firstHeld();
    if (held) {
      where.show(h('p', { class: 'notice warn', role: 'alert' }, 'A guard holds this plan back. Look at it, then override it to continue.'));
      focusOn(held);
      return;
    }
    where.clear();
    const run = await confirmRun(plan, guards.overridden(), source);
    if (!run) announce('Nothing was written');
    else go(`#/runs/${encodeURIComponent(run.run_id)}`);
  }, { class: 'primary' });
  return [h('div', { class: 'decide-row' }, h('p', state === 'stopped' ? h('strong', 'Its run stopped early: resume that, or confirm what is left once more.') : h('strong', 'Nothing was written yet.'), ' Exactly this plan is written once it is confirmed.', plan.mode !== 'compare' && !plan.undoes && ' Its run cannot be undone: the previous values were not read.'), yes), where];
}

/**
 * The fields that are written, each as a filter of the changes.
 *
 * @param {Plan} plan
 * @param {ReturnType<typeof changesTable>} changes
 */
function fieldsWritten(plan, changes) {
  const fields = Object.entries(plan.fields).sort(([, a], [, b]) => b - a);
  if (!fields.length) return null;
  return h('div', { class: 'named' }, h('h3', 'Fields written'), h('ul', { class: 'inline-list' }, fields.map(([name, many]) => h('li',
    button(h('code', name), async () => {
      await changes.filterBy(name);
      focusOn(changes.element.querySelector('select'));
    }, { class: 'as-link', 'aria-label': `Show the changes of ${name}` }), ' ', h('span', { class: 'muted' }, number(many))))));
}

function fieldsDropped(/** @type {Plan} */ plan) {
  if (!plan.dropped_fields.length) return null;
  return h('div', { class: 'named' }, h('h3', 'Columns not written'), h('ul', { class: 'inline-list' }, plan.dropped_fields.map(each => h('li', h('code', each.name), ' ', h('span', { class: each.reason === 'not_in_records' || each.reason === 'unknown_field' ? 'warn-text' : 'muted' }, dropped(each.reason))))));
}

/** @returns {null} */
function ignored(/** @type {unknown} */ error) {
  if (isAbort(error)) throw error;
  return null;
}

// The changes of a plan: a line for each record, its fields behind it; or, for one field, what the CRM holds and what would be written.

/** @import { Plan, PlannedChange, SkippedRows } from '../types/api' */
/** @import { Child } from '../types/dom' */

import { get } from './api.js';
import { fill, h } from './dom.js';
import { badge, field as labelled, longText, options, paged, scroller } from './parts.js';
import { count, number } from './words.js';

const PAGE = 50;
/** Longest values that are compared letter by letter. */
const COMPARED = 400;
/** Letters of a value in a line. */
const SHORT = 40;
/** Records that are shown open: so few are looked at all at once. */
const OPEN = 2;

/** @typedef {(id: string) => Child} ShowId How a record's id is shown: as a link where the CRM has an address for it. */

/**
 * The list with its filters; `remember(chosen)` hears of other choices.
 *
 * @param {Plan} plan
 * @param {{ field?: string, provider_id?: string }} chosen
 * @param {(chosen: { field?: string, provider_id?: string }) => void} remember
 * @param {ShowId} showId
 * @param {AbortSignal} signal
 */
export function changesTable(plan, chosen, remember, showId, signal) {
  const compared = plan.mode === 'compare' || Boolean(plan.undoes);
  const query = { ...chosen };
  const list = paged({
    signal, what: 'changes', none: 'No change fits this filter.',
    load: (after, signal) => get('/plans/{plan_id}/changes', { at: { plan_id: plan.plan_id }, signal, query: { ...query, after, limit: PAGE } }),
    show: items => (query.field ? draw(items, compared, query.field, showId) : lines(items, compared, showId)),
  });
  const names = Object.keys(plan.fields);
  const field = labelled('Field', h('select', options([['', 'All fields'], ...names.map(name => /** @type {[string, string]} */ ([name, `${name} (${number(plan.fields[name])})`]))], chosen.field ?? '')));
  const id = labelled('Provider id', h('input', { type: 'search', autocomplete: 'off', spellcheck: 'false', value: chosen.provider_id ?? '' }));
  const apply = () => {
    query.field = field.control.value || undefined;
    query.provider_id = id.control.value.trim() || undefined;
    remember(query);
    return list.restart();
  };
  field.control.addEventListener('change', apply);
  const form = h('form', {
    class: 'filter', 'aria-label': 'Filter the changes', onsubmit: event => {
      event.preventDefault();
      apply();
    },
  }, field, id, h('button', { type: 'submit' }, 'Filter'));
  return {
    element: h('div', form, !compared && h('p', { class: 'help' }, 'The previous values are not known: this plan was made without reading the records. A dry run that compares shows them.'), list),
    restart: () => list.restart(),
    filterBy: (/** @type {string} */ name) => {
      field.control.value = name;
      return apply();
    },
  };
}

/**
 * A line for each record. Its fields are drawn when it is opened.
 *
 * @param {PlannedChange[]} items
 * @param {boolean} compared
 * @param {ShowId} showId
 */
function lines(items, compared, showId) {
  return h('ul', { class: 'lines', 'aria-label': 'Changes' }, items.map(change => {
    const names = Object.keys(change.fields);
    const inside = h('div');
    const show = () => inside.firstChild || fill(inside, draw([change], compared, undefined, showId));
    const open = items.length <= OPEN;
    if (open) show();
    return h('li', h('details', { class: 'line', open, ontoggle: event => event.currentTarget.open && show() },
      h('summary',
        h('span', { class: 'line-id' }, h('code', change.provider_id), h('span', { class: 'muted' }, ` row ${number(change.row)}`)),
        h('span', { class: 'line-what' }, names.slice(0, 3).map((name, at) => [at > 0 && '; ', h('code', name), ' ', inShort(change, name, compared)])),
        h('span', { class: 'line-count muted' }, count(names.length, 'field'))),
      inside));
  }));
}

/**
 * What becomes of a field, in a few letters.
 *
 * @param {PlannedChange} change
 * @param {string} name
 * @param {boolean} compared
 * @returns {Child}
 */
function inShort(change, name, compared) {
  const letters = (/** @type {unknown} */ raw, /** @type {string} */ whenEmpty) => {
    const text = isEmpty(raw) ? whenEmpty : typeof raw === 'string' ? raw : JSON.stringify(raw);
    return [...text].length > SHORT ? `${[...text].slice(0, SHORT).join('')}…` : text;
  };
  const after = letters(change.fields[name], '(cleared)');
  return compared && change.before && name in change.before ? [h('span', { class: 'muted' }, letters(change.before[name], '(empty)')), ' → ', after] : ['→ ', after];
}

/**
 * @param {PlannedChange[]} items
 * @param {boolean} compared
 * @param {string | undefined} only
 * @param {ShowId} showId
 */
function draw(items, compared, only, showId) {
  const th = (/** @type {string} */ text) => h('th', { role: 'columnheader', scope: 'col' }, text);
  return scroller('Changes', h('table', { role: 'table', class: 'changes cards' },
    h('caption', { class: 'unseen' }, only ? `Changes of ${only}` : items.length === 1 ? `Changes of ${items[0].provider_id}` : 'Changes'),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, th('Record'), th('Field'), compared && th('Before'), th('After'))),
    items.map(change => record(change, compared, only, showId))));
}

/**
 * @param {PlannedChange} change
 * @param {boolean} compared
 * @param {string | undefined} only
 * @param {ShowId} showId
 */
function record(change, compared, only, showId) {
  const names = Object.keys(change.fields).filter(name => !only || name === only);
  const others = Object.keys(change.fields).length - names.length;
  return h('tbody', { role: 'rowgroup' }, names.map((name, at) => {
    const before = change.before ? change.before[name] : undefined;
    const after = change.fields[name];
    const known = compared && change.before && name in change.before;
    const [old, now] = known && isShortText(before) && isShortText(after) ? difference(before, after) : [known ? value(before, 'empty') : h('span', { class: 'muted' }, 'not read'), value(after, 'cleared')];
    return h('tr', { role: 'row' },
      at === 0 && h('th', { role: 'rowheader', scope: 'rowgroup', rowspan: names.length, class: 'record' }, showId(change.provider_id), h('span', { class: 'muted small-text' }, `row ${number(change.row)}`),
        others > 0 && h('span', { class: 'muted small-text' }, `and ${others} more ${others === 1 ? 'field' : 'fields'}`)),
      h('td', { role: 'cell', 'data-label': 'Field' }, h('code', name)),
      compared && h('td', { role: 'cell', 'data-label': 'Before', class: 'before' }, old),
      h('td', { role: 'cell', 'data-label': 'After', class: 'after' }, now));
  }));
}

const isEmpty = (/** @type {unknown} */ value) => value === null || value === undefined || value === '';
/**
 * @param {unknown} value
 * @returns {value is string}
 */
const isShortText = value => typeof value === 'string' && value !== '' && value.length <= COMPARED;

/**
 * A value as it is written. What is not a text is shown as JSON, so that `"5"` and `5` differ.
 *
 * @param {unknown} raw
 * @param {'empty' | 'cleared'} whenEmpty
 */
function value(raw, whenEmpty) {
  if (isEmpty(raw)) return badge(whenEmpty, whenEmpty === 'cleared' ? 'warn' : 'quiet');
  const text = typeof raw === 'string' ? raw : JSON.stringify(raw);
  return /^\s|\s$/.test(text) ? longText(`"${text}"`) : longText(text);
}

/** Two texts with the part marked that is not the same in both, if enough of them is. */
function difference(/** @type {string} */ before, /** @type {string} */ after) {
  const a = [...before];
  const b = [...after];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const long = Math.max(a.length, b.length) > 140;
  if (start + end < Math.max(a.length, b.length) / 3 || long) return [value(before, 'empty'), value(after, 'cleared')];
  const marked = (/** @type {string[]} */ letters, /** @type {'del' | 'ins'} */ tag) => {
    const middle = letters.slice(start, letters.length - end).join('');
    return h('span', { class: 'value' }, letters.slice(0, start).join(''), middle && h(tag, middle), end > 0 && letters.slice(-end).join(''));
  };
  return [marked(a, 'del'), marked(b, 'ins')];
}

/**
 * Records that would be skipped, by pages; asked for when somebody looks.
 *
 * @param {Plan} plan
 * @param {(code: string) => string} reasons
 * @param {AbortSignal} signal
 */
export function skippedList(plan, reasons, signal) {
  const list = paged({
    signal, what: 'groups of records', none: 'None.',
    load: (after, signal) => get('/plans/{plan_id}/skipped', { at: { plan_id: plan.plan_id }, signal, query: { after, limit: PAGE } }),
    show: items => scroller('Skipped records', h('table', { role: 'table', class: 'cards' },
      h('caption', { class: 'unseen' }, 'Skipped records'),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ['Rows', 'Why'].map(text => h('th', { role: 'columnheader', scope: 'col' }, text)))),
      h('tbody', { role: 'rowgroup' }, items.map(each => h('tr', { role: 'row' },
        h('th', { role: 'rowheader', scope: 'row', 'data-label': 'Rows' }, rows(each)),
        h('td', { role: 'cell', 'data-label': 'Why' }, h('div', reasons(each.reason)), each.detail && h('div', { class: 'muted' }, longText(each.detail, 200)))))))),
  });
  let asked = false;
  return h('details', {
    class: 'more', ontoggle: event => {
      if (!event.currentTarget.open || asked) return;
      asked = true;
      list.restart();
    },
  }, h('summary', 'Which records'), list);
}

function rows(/** @type {SkippedRows} */ { first_row: first, rows: many }) {
  return many > 1 ? `${number(first)} to ${number(first + many - 1)}` : number(first);
}

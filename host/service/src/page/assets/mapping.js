// Which golden column is written to which field of the CRM: as a table that is edited, and as one that is read.

/** @import { Child } from '../types/dom' */
/** @import { KnownField } from './known-fields.js' */

import { announce, fill, h, newId } from './dom.js';
import { fieldFor, isInternal } from './known-fields.js';
import { button, code, table } from './parts.js';

/** @typedef {Map<string, KnownField>} Known */
/** @typedef {{ columns: string[], id: string | undefined, known: Known, crm: string }} Facts What is known now: the golden set's columns, the one of record ids, the CRM's fields. */

/**
 * The pairs of a configuration's `fields`. Without it every column is written by its own name.
 *
 * @param {unknown} value
 * @param {string[]} columns
 * @param {string | undefined} id
 * @returns {Map<string, string>}
 */
export function pairsOf(value, columns, id) {
  if (Array.isArray(value)) return new Map(value.map(name => [String(name), String(name)]));
  if (value && typeof value === 'object') return new Map(Object.entries(value).map(([column, field]) => [column, String(field)]));
  return new Map(columns.filter(column => column !== id && !isInternal(column)).map(column => [column, column]));
}

/** What the CRM, or its documentation, says of a field. */
function said(/** @type {KnownField | undefined} */ field) {
  if (!field) return h('span', { class: 'muted' }, 'a custom field? The next plan that asks the CRM tells');
  const what = [field.label, field.type].filter(Boolean).join(', ');
  if (field.verdict === 'unknown_field') return h('span', { class: 'warn-text' }, 'not a field of this object, says the CRM');
  if (field.verdict === 'read_only') return h('span', { class: 'warn-text' }, `${what ? `${what}; ` : ''}read-only in the CRM`);
  return h('span', { class: 'muted' }, what || 'known', field.verdict === 'written' && ' ✓');
}

/**
 * The table that is edited: an editor for `fields`. `facts` is asked again whenever it is drawn.
 *
 * @param {unknown} was What is configured; undefined where nothing is.
 * @param {boolean} fresh Whether nothing was configured before: then names that match are filled in.
 * @param {() => Facts} facts
 */
export function mappingEditor(was, fresh, facts) {
  const rows = new Map(fresh || was === undefined ? [] : pairsOf(was, [], undefined));
  // Without a list all columns are written. That stays so until somebody touches the table.
  let all = !fresh && was === undefined;
  /** @type {Set<string>} */
  const touched = new Set(rows.keys());
  const fields = h('datalist', { id: newId('fields') });
  const body = h('div', { class: 'mapping', role: 'group', 'aria-label': 'Mapping' });
  const summary = h('p', { class: 'help', role: 'status' });
  const added = h('input', {
    type: 'text', autocomplete: 'off', spellcheck: 'false', placeholder: 'Another column', 'aria-label': 'Another golden column',
    onkeydown: event => {
      if (event.key !== 'Enter') return;
      event.preventDefault();
      add();
    },
  });
  const add = () => {
    const name = added.value.trim();
    if (!name) return added.focus();
    added.value = '';
    rows.set(name, rows.get(name) ?? name);
    touched.add(name);
    settle();
    body.querySelector(`input[data-column="${CSS.escape(name)}"]`)?.scrollIntoView({ block: 'nearest' });
    announce(`${name} added`);
    return undefined;
  };
  const settle = () => {
    all = false;
    draw();
    body.dispatchEvent(new Event('input', { bubbles: true }));
  };
  /** Gives each column without a field the one that `choose` has for it. */
  const fillIn = (/** @type {(column: string) => string | undefined} */ choose) => {
    for (const column of writable()) if (!rows.get(column)) rows.set(column, choose(column) ?? '');
    settle();
  };
  const writable = () => {
    const { columns, id } = facts();
    return [...new Set([...columns, ...rows.keys()])].filter(column => column !== id && !isInternal(column));
  };

  function draw() {
    const { columns, id, known, crm } = facts();
    fill(fields, [...known.values()].filter(field => field.verdict !== 'read_only' && field.verdict !== 'unknown_field').map(field => h('option', { value: field.name }, [field.label ?? field.name, field.type && `(${field.type})`].filter(Boolean).join(' '))));
    if (fresh) {
      const taken = new Set(rows.values());
      for (const column of columns) {
        if (touched.has(column) || column === id || isInternal(column)) continue;
        const field = fieldFor(column, known);
        if (rows.get(column) === undefined || rows.get(column) === '') rows.set(column, field && !taken.has(field) ? field : '');
        if (field) taken.add(field);
      }
    }
    const shown = all ? pairsOf(undefined, columns, id) : rows;
    const names = writable();
    const left = columns.filter(column => column === id || isInternal(column));
    const many = names.filter(column => shown.get(column)).length;
    fill(summary, names.length === 0 ? 'Choose golden records first, or add columns by their names.'
      : all ? 'Every column is written to the field of its own name, also columns that come later. Change one, and only what is listed here is written.'
        : `${many} of ${names.length} columns are written. The others are left out.`);
    fill(body, names.length > 0 && h('div', { class: 'map-head', 'aria-hidden': 'true' }, h('span', 'Golden column'), h('span'), h('span', `Field of ${crm}`), h('span', 'What is known of it')),
      names.map(column => {
        const field = shown.get(column) ?? '';
        const note = h('span', { class: 'map-note' });
        const tell = (/** @type {string} */ name) => fill(note, name ? said(known.get(name)) : h('span', { class: 'muted' }, 'not written'), columns.length > 0 && !columns.includes(column) && h('span', { class: 'warn-text' }, ' The golden records have no such column.'));
        const input = h('input', {
          type: 'text', autocomplete: 'off', spellcheck: 'false', list: fields.id, value: field, placeholder: 'not written', 'aria-label': `Field for ${column}`, 'data-column': column,
          oninput: event => {
            if (all) for (const [each, own] of shown) rows.set(each, own);
            all = false;
            touched.add(column);
            rows.set(column, event.currentTarget.value.trim());
            row.classList.toggle('unmapped', !event.currentTarget.value.trim());
            tell(event.currentTarget.value.trim());
            fill(summary, `${writable().filter(each => rows.get(each)).length} of ${writable().length} columns are written. The others are left out.`);
          },
        });
        const row = h('div', { class: field ? 'map-row' : 'map-row unmapped' }, code(column), h('span', { class: 'map-arrow', 'aria-hidden': 'true' }, '→'), input, note);
        tell(field);
        return row;
      }),
      left.map(column => h('div', { class: 'map-row unmapped' }, code(column), h('span'), h('span', { class: 'muted' }, column === id ? 'the record id, by which records are found' : "the resolver's own: never written"), h('span'))));
  }
  draw();
  return {
    element: h('div', { class: 'mapping-editor' }, fields, summary, body,
      h('div', { class: 'actions' },
        button('Match by name', () => fillIn(column => fieldFor(column, facts().known)), { class: 'small' }),
        button('Same names', () => fillIn(column => column), { class: 'small' }),
        button('Write none', () => {
          for (const column of writable()) {
            rows.set(column, '');
            touched.add(column);
          }
          settle();
        }, { class: 'small' })),
      h('div', { class: 'with-button' }, added, button('Add', add, { 'aria-label': 'Add the column' }))),
    value() {
      if (all) return undefined;
      const pairs = [...rows].filter(([column, field]) => field && column !== facts().id && !isInternal(column));
      // An empty list is not the same as none, with which all columns are written.
      return pairs.every(([column, field]) => column === field) ? pairs.map(([column]) => column) : Object.fromEntries(pairs);
    },
    focus() {
      (body.querySelector('input') ?? added).focus();
    },
    draw,
  };
}

/**
 * The table that is read, with what the last plan that asked the CRM knew of each field.
 *
 * @param {unknown} value
 * @param {Facts} facts
 * @returns {Child}
 */
export function mappingTable(value, { columns, id, known, crm }) {
  const pairs = [...pairsOf(value, columns, id)];
  if (pairs.length === 0) return h('p', { class: 'muted' }, 'Every column of the golden records is written to the field of its own name.');
  return [
    value === undefined && h('p', { class: 'help' }, 'No list is set: every column is written to the field of its own name.'),
    table('Mapping', [
      { label: 'Golden column', header: true, cell: ([column]) => [code(column), columns.length > 0 && !columns.includes(column) && h('span', { class: 'warn-text small-text' }, 'not in the golden records')] },
      { label: `Field of ${crm}`, cell: ([, field]) => code(field) },
      { label: 'What is known of it', cell: ([, field]) => said(known.get(field)) },
    ], pairs),
  ];
}

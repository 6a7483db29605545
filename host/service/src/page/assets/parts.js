// What views are made of: headings, tables, badges, dialogs, problems.

/** @import { Page, Run } from '../types/api' */
/** @import { Attributes, Child, Control, Field, On, Paged, Slot } from '../types/dom' */

import { announce, fill, focusOn, h, newId } from './dom.js';
import { Problem, isAbort } from './api.js';
import { capital, standing, worded } from './words.js';

/**
 * A view's heading, with what can be done on its right.
 *
 * @param {Child} title
 * @param {{ crumb?: Child, intro?: Child, actions?: Child }} [more]
 */
export function heading(title, { crumb, intro, actions } = {}) {
  return h('header', { class: 'heading' },
    h('div', { class: 'heading-text' },
      crumb && h('p', { class: 'crumb' }, crumb),
      h('h1', { tabindex: '-1' }, title),
      intro && h('p', { class: 'intro' }, intro)),
    actions && h('div', { class: 'actions' }, actions));
}

/**
 * @param {string} title
 * @param {...Child} children
 */
export function section(title, ...children) {
  const id = newId('section');
  return h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, title), children);
}

/**
 * @param {Child} text
 * @param {(event: On<MouseEvent, HTMLButtonElement>) => unknown} onclick
 * @param {Attributes<HTMLButtonElement>} [attributes]
 */
export const button = (text, onclick, attributes = {}) => h('button', { type: 'button', ...attributes, onclick }, text);
/**
 * @param {Child} text
 * @param {string} href
 * @param {Attributes<HTMLAnchorElement>} [attributes]
 */
export const link = (text, href, attributes = {}) => h('a', { href, ...attributes }, text);
export const code = (/** @type {string} */ text) => h('code', text);
export const badge = (/** @type {string} */ text, tone = 'quiet') => h('span', { class: `badge ${tone}` }, text);
export const statusBadge = (/** @type {Run} */ run) => badge(standing(run).name, standing(run).tone);

const times = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
/** A point in time as people here write it; the exact one on hover and for programs. */
export function time(/** @type {string | null | undefined} */ iso) {
  if (!iso) return '–';
  const at = new Date(iso);
  return Number.isNaN(at.getTime()) ? iso : h('time', { datetime: iso, title: iso }, times.format(at));
}

/** Somebody, by name; the id is there on hover. */
export function person(/** @type {string} */ who) {
  const [, name, id] = who.match(/^(.*) \((usr_\w+)\)$/) ?? [];
  return id ? h('span', { title: who }, name) : who;
}

/** A text of the server, in which `backticks` mark what is to be taken literally. */
export const prose = (/** @type {string} */ text) => text.split('`').map((part, at, parts) => (at % 2 === 1 && at < parts.length - 1 ? code(part) : at % 2 === 1 ? `\`${part}` : part));

/** Terms and what they are. Empty ones are left out. */
export function facts(/** @type {[Child, Child][]} */ pairs) {
  return h('dl', { class: 'facts' }, pairs.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== '')
    .map(([term, value]) => h('div', h('dt', term), h('dd', value))));
}

/** A text, shortened where it is long, with all of it behind a click. */
export function longText(/** @type {string} */ text, max = 140) {
  const letters = [...text];
  if (letters.length <= max) return h('span', { class: 'value' }, text);
  const start = letters.slice(0, max).join('');
  return h('details', { class: 'long' },
    h('summary', h('span', { class: 'value' }, `${start}…`), h('span', { class: 'hint' }, ' show all')),
    h('div', { class: 'value full' }, text));
}

/** An identifier that can be copied. */
export function copyable(/** @type {string} */ text, what = 'Copy') {
  const copy = button(what, async () => {
    try {
      await navigator.clipboard.writeText(text);
      announce('Copied');
      copy.textContent = 'Copied';
    } catch {
      // Without the right to the clipboard, the text can still be marked.
      getSelection()?.selectAllChildren(shown);
    }
  }, { class: 'small quiet', 'aria-label': `${what} ${text}` });
  const shown = code(text);
  return h('span', { class: 'copyable' }, shown, copy);
}

/**
 * What went wrong. Read out at once.
 *
 * @param {unknown} error
 * @param {...Child} more
 */
export function problem(error, ...more) {
  // What no server has said is a fault of the page.
  if (!(error instanceof Problem)) console.error(error);
  const { title, message, code: name, requestId, retryAfter } = error instanceof Problem ? error : new Problem({ detail: error instanceof Error ? error.message : String(error) });
  const tail = [
    name && h('span', 'Code ', code(name)),
    requestId && h('span', 'Request ', code(requestId)),
    retryAfter && h('span', `Try again in ${retryAfter} s`),
  ].filter(part => part instanceof Node);
  return h('div', { class: 'notice bad', role: 'alert' },
    h('p', { class: 'notice-title' }, title),
    h('p', message.length > 2000 ? longText(message, 2000) : prose(capital(worded(message)))),
    tail.length > 0 && h('p', { class: 'tail' }, tail.map(part => [part, ' '])),
    more);
}

/**
 * @param {'good' | 'bad' | 'warn' | 'quiet'} tone
 * @param {string | null} title
 * @param {...Child} children
 */
export function notice(tone, title, ...children) {
  return h('div', { class: `notice ${tone}` }, title && h('p', { class: 'notice-title' }, title), children);
}

/** @param {...Child} children */
export const empty = (...children) => h('div', { class: 'empty' }, children.map(child => (typeof child === 'string' ? h('p', child) : child)));

/**
 * A place for what an action has to say.
 *
 * @returns {Slot}
 */
export function slot() {
  const element = h('div', { class: 'slot' });
  return Object.assign(element, { show: (/** @type {Child[]} */ ...children) => fill(element, ...children), clear: () => fill(element) });
}

/**
 * Runs what a button starts: once at a time, its problems shown in the slot. Answers undefined if there was one.
 *
 * @template T
 * @param {HTMLElement} trigger
 * @param {Slot} where
 * @param {() => T | Promise<T>} work
 * @param {string} [busy]
 * @returns {Promise<T | undefined>}
 */
export async function during(trigger, where, work, busy) {
  if (trigger.getAttribute('aria-disabled') === 'true') return undefined;
  trigger.setAttribute('aria-disabled', 'true');
  trigger.classList.add('busy');
  where.clear();
  if (busy) where.show(h('p', { class: 'busy-text' }, busy));
  if (busy) announce(busy);
  try {
    const result = await work();
    if (busy) where.clear();
    return result;
  } catch (error) {
    if (!isAbort(error)) where.show(problem(error));
    return undefined;
  } finally {
    trigger.removeAttribute('aria-disabled');
    trigger.classList.remove('busy');
  }
}

/**
 * A table that is a list of cards on a phone. Columns: `{label, cell(item), header, class}`. The roles are spelled out, because
 * browsers may take them away from a table whose cells are laid out as blocks.
 *
 * @template T
 * @param {string} caption
 * @param {readonly { label: string, cell: (item: T) => Child, header?: boolean, class?: string }[]} columns
 * @param {readonly T[]} items
 */
export function table(caption, columns, items) {
  const row = (/** @type {T} */ item) => h('tr', { role: 'row' }, columns.map(column => h(column.header ? 'th' : 'td', {
    role: column.header ? 'rowheader' : 'cell', scope: column.header ? 'row' : undefined, class: column.class, 'data-label': column.label,
  }, h('div', column.cell(item)))));
  return scroller(caption, h('table', { role: 'table', class: 'cards' },
    h('caption', { class: 'unseen' }, caption),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map(column => h('th', { role: 'columnheader', scope: 'col', class: column.class }, column.label || h('span', { class: 'unseen' }, 'Actions'))))),
    h('tbody', { role: 'rowgroup' }, items.map(row))));
}

/** A box that scrolls by itself, also with the keyboard. */
export const scroller = (/** @type {string} */ label, /** @type {Child} */ child) => h('div', { class: 'scroller', role: 'group', 'aria-label': label, tabindex: '0' }, child);

/**
 * A list by pages. `load(after, signal)` answers `{items, next}`, `show(items)` draws them. A page that is empty and has a next
 * one is what a search over a part of a long list came to: the search resumes by itself.
 *
 * @template T
 * @param {{ load: (after: string | undefined, signal: AbortSignal) => Promise<Page<T>>, show: (items: T[]) => Child, none: string, signal: AbortSignal, what?: string }} how
 * @returns {Paged}
 */
export function paged({ load, show, none, signal, what = 'records' }) {
  const body = h('div', { 'aria-live': 'off' });
  const controls = h('div', { class: 'pager' });
  const element = h('div', { class: 'paged' }, body, controls);
  /** @type {(string | undefined)[]} */
  let before = [];
  /** @type {string | undefined} */
  let here;
  let turn = 0;

  /**
   * @param {string | undefined} after
   * @param {boolean} said
   */
  async function go(after, said, quietly = false) {
    turn += 1;
    const mine = turn;
    here = after;
    if (!quietly) element.setAttribute('aria-busy', 'true');
    const slow = quietly ? undefined : setTimeout(() => mine === turn && fill(controls, h('span', { class: 'busy-text' }, 'Searching…')), 300);
    try {
      let page = await load(after, signal);
      while (page.items.length === 0 && page.next && mine === turn && !signal.aborted) page = await load(page.next, signal);
      if (mine !== turn) return;
      fill(body, page.items.length ? show(page.items) : empty(none));
      draw(page.next);
      if (said) announce(`${page.items.length} ${what} shown`);
    } catch (error) {
      if (!isAbort(error) && mine === turn) fill(body, problem(error));
    } finally {
      clearTimeout(slow);
      if (mine === turn) element.removeAttribute('aria-busy');
    }
  }

  function draw(/** @type {string | null | undefined} */ next) {
    const back = before.length > 0 && button('Previous page', async () => {
      const target = before.pop();
      await go(target, true);
      focusOn(body);
    });
    const on = next && button('Next page', async () => {
      before.push(here);
      await go(next, true);
      focusOn(body);
    });
    fill(controls, (back || on) && [h('span', { class: 'muted' }, `Page ${before.length + 1}`), back, on]);
  }

  return Object.assign(element, {
    /** The page that is shown, as it is now; unless another one is on its way. */
    refresh: () => (element.hasAttribute('aria-busy') ? undefined : go(here, false, true)),
    /** Starts again from the first page. */
    restart: () => {
      before = [];
      return go(undefined, false);
    },
  });
}

/**
 * A dialog. `fields` may hold anything; `confirm()` answers true to close it, or shows in it why it stays open. Resolves to whether it was confirmed.
 *
 * @param {{ title: string, fields?: Child, action: string, danger?: boolean, confirm?: (where: Slot) => boolean | Promise<boolean>, wide?: boolean }} what
 * @returns {Promise<boolean>}
 */
export function ask({ title, fields = [], action, danger = false, confirm, wide = false }) {
  return new Promise(resolve => {
    const label = newId('dialog');
    const where = slot();
    let confirmed = false;
    const yes = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, action);
    /** @type {HTMLFormElement} */
    const form = h('form', {
      method: 'dialog', novalidate: true,
      onsubmit: async event => {
        event.preventDefault();
        const done = confirm ? await during(yes, where, () => confirm(where)) : true;
        if (done) {
          confirmed = true;
          dialog.close();
        }
      },
    }, h('h2', { id: label, tabindex: '-1' }, title), fields, where,
    h('div', { class: 'dialog-actions' }, button('Cancel', () => dialog.close(), { class: 'quiet' }), yes));
    /** @type {HTMLDialogElement} */
    const dialog = h('dialog', { 'aria-labelledby': label, class: wide ? 'wide' : '' }, form);
    const leave = () => dialog.close();
    dialog.addEventListener('close', () => {
      window.removeEventListener('hashchange', leave);
      dialog.remove();
      resolve(confirmed);
    });
    // Somebody who goes back with the browser leaves the dialog, too.
    window.addEventListener('hashchange', leave);
    document.body.append(dialog);
    dialog.showModal();
    const first = dialog.querySelector('[data-first]');
    if (first instanceof HTMLElement) first.focus();
  });
}

/**
 * A labelled control.
 *
 * @template {Control} C
 * @param {Child} label
 * @param {C} control
 * @param {{ help?: Child, id?: string }} [more]
 * @returns {Field<C>}
 */
export function field(label, control, { help, id = newId('field') } = {}) {
  const helpId = help ? `${id}-help` : undefined;
  const errorId = `${id}-error`;
  control.id = id;
  control.setAttribute('aria-describedby', helpId ? `${helpId} ${errorId}` : errorId);
  const error = h('p', { class: 'field-error', id: errorId });
  const element = h('div', { class: 'field' }, h('label', { for: id }, label), help && h('p', { class: 'help', id: helpId }, help), control, error);
  const fail = (/** @type {string} */ message) => {
    fill(error, prose(message));
    if (message) control.setAttribute('aria-invalid', 'true');
    else control.removeAttribute('aria-invalid');
  };
  // What was wrong is being put right.
  control.addEventListener('input', () => fail(''));
  return Object.assign(element, { control, fail });
}

/**
 * @param {Iterable<readonly [string, string]>} entries
 * @param {string} [chosen]
 */
export const options = (entries, chosen) => [...entries].map(([value, text]) => h('option', { value, selected: value === chosen }, text));

/**
 * Choices that exclude each other.
 *
 * @template {string} V
 * @param {string} legend
 * @param {string} name
 * @param {readonly (readonly [value: V, text: string, help?: string, badge?: Child])[]} entries
 * @param {V} chosen
 * @param {(value: V) => void} onchange
 */
export function radios(legend, name, entries, chosen, onchange) {
  const group = newId(name);
  return h('fieldset', { class: 'choices' }, h('legend', legend), entries.map(([value, text, help, mark]) => {
    const id = newId(name);
    return h('div', { class: 'choice' },
      h('input', { type: 'radio', id, name: group, value, checked: value === chosen, onchange: () => onchange(value), 'aria-describedby': help ? `${id}-help` : undefined }),
      h('div', h('label', { for: id }, text), mark && [' ', mark], help && h('p', { class: 'help', id: `${id}-help` }, help)));
  }));
}

/**
 * @param {Child} label
 * @param {{ checked?: boolean, help?: string, onchange?: (event: On<Event, HTMLInputElement>) => unknown }} [more]
 */
export function checkbox(label, { checked = false, onchange, help } = {}) {
  const id = newId('check');
  const control = h('input', { type: 'checkbox', id, checked, onchange, 'aria-describedby': help ? `${id}-help` : undefined });
  const element = h('div', { class: 'choice' }, control, h('div', h('label', { for: id }, label), help && h('p', { class: 'help', id: `${id}-help` }, help)));
  return Object.assign(element, { control });
}

// A form drawn from a JSON Schema, for the kinds of schemas that destination types have: texts, choices, switches, numbers,
// lists of texts, objects with free keys, and alternatives of these (oneOf).
//
// A key that is left at its default is left out, unless it was there before. The server judges the values; what it finds wrong
// is shown at the field that its JSON pointer names.

/** @import { Child } from '../types/dom' */
/**
 * @typedef {{
 *   type?: string, title?: string, description?: string, default?: unknown, examples?: unknown[], enum?: string[], oneOf?: Schema[], required?: string[],
 *   properties?: Record<string, Schema>, additionalProperties?: boolean | Schema, minimum?: number, maximum?: number,
 * }} Schema What is used of JSON Schema.
 * @typedef {Record<string, unknown>} Values
 * @typedef {{ element: HTMLElement, value: () => unknown, focus: () => void, control?: HTMLInputElement | HTMLSelectElement }} Editor `control` is there where it is a single one.
 * @typedef {{ label: string, suggestions?: string }} Context What an editor is called, and the id of a datalist.
 * @typedef {() => [value: string, text: string][]} Entries
 * @typedef {{ title: string, what: string, keys: string[] }} Group Settings that belong together.
 */

import { announce, fill, h, newId } from './dom.js';
import { button, prose } from './parts.js';
import { label, sentence } from './words.js';

/**
 * Draws the properties of an object schema. `settings`: `pointer` (of the object, for errors), `first` (keys that are not tucked
 * away, in their order), `groups` (those that are, with a sentence about each), `choices` (key -> function that answers [value, text]
 * pairs, for texts that name something), `suggestions` (key -> id of a datalist), `editors` (key -> an editor of its own).
 *
 * @param {Schema} schema
 * @param {Values} [initial]
 * @param {{ pointer?: string, first?: string[], groups?: Group[], choices?: Record<string, Entries>, suggestions?: Record<string, string>, editors?: Record<string, Editor> }} [settings]
 */
export function schemaForm(schema, initial = {}, settings = {}) {
  const { pointer = '', first = [], groups = [], choices = {}, suggestions = {}, editors = {} } = settings;
  const required = new Set(schema.required ?? []);
  const properties = schema.properties ?? {};
  const parts = Object.entries(properties).map(([key, property]) => {
    const was = initial[key];
    const context = { suggestions: suggestions[key], label: label(key) };
    const editor = editors[key] ?? (choices[key] ? chooser(choices[key], was) : editorOf(property, was, context));
    return { key, editor, was, element: labelled(key, property, editor, required.has(key)) };
  });
  const isFirst = (/** @type {{ key: string }} */ part) => required.has(part.key) || first.includes(part.key);
  const order = parts.filter(isFirst).sort((a, b) => rank(a) - rank(b));
  const rest = parts.filter(part => !isFirst(part));
  function rank(/** @type {{ key: string }} */ part) {
    return first.indexOf(part.key);
  }
  const grouped = new Set(groups.flatMap(group => group.keys));
  const others = { title: first.length || required.size ? 'More settings' : 'Settings', what: '', keys: rest.map(part => part.key).filter(key => !grouped.has(key)) };
  const more = [...groups, others].map(group => ({ ...group, parts: rest.filter(part => group.keys.includes(part.key)) })).filter(group => group.parts.length > 0)
    .map(({ title, what, parts }) => h('details', { class: 'more', open: parts.some(part => part.was !== undefined) },
      h('summary', `${title} (${parts.length})`, what && h('span', { class: 'help what' }, what)), parts.map(part => part.element)));

  return {
    element: h('div', { class: 'schema-form' }, order.map(part => part.element), more),
    value() {
      /** @type {Values} */
      const object = {};
      for (const { key, editor, was } of parts) {
        const value = editor.value();
        const isDefault = value !== undefined && JSON.stringify(value) === JSON.stringify(properties[key].default);
        if (value !== undefined && (!isDefault || was !== undefined)) object[key] = value;
      }
      return object;
    },
    /** Shows an error where it belongs. Answers whether there is such a place. */
    fail(/** @type {string} */ at, /** @type {string} */ message) {
      if (at !== pointer && !at.startsWith(`${pointer}/`)) return false;
      const key = decodePointer(at.slice(pointer.length + 1).split('/')[0]);
      const part = parts.find(part => part.key === key);
      if (!part) return false;
      part.element.fail(message);
      for (let box = part.element.closest('details'); box; box = box.parentElement?.closest('details') ?? null) box.open = true;
      return true;
    },
    clear: () => parts.forEach(part => part.element.fail('')),
    /** Answers whether there is one. */
    /** Marks what is required and empty. Answers whether there is something. */
    requireAll() {
      const lacking = parts.filter(part => required.has(part.key) && part.editor.value() === undefined);
      for (const part of lacking) part.element.fail(`${label(part.key)} is required.`);
      return lacking.length > 0;
    },
    focusFirstError() {
      const wrong = parts.find(part => part.element.failed);
      wrong?.editor.focus();
      return wrong !== undefined;
    },
  };
}

const decodePointer = (/** @type {string} */ text) => text.replaceAll('~1', '/').replaceAll('~0', '~');

/**
 * An editor with its name, what it means, what is usual, and what the server says about it.
 *
 * @param {string} key
 * @param {Schema} schema
 * @param {Editor} editor
 * @param {boolean} required
 */
function labelled(key, schema, editor, required) {
  const id = newId('key');
  const help = h('p', { class: 'help', id: `${id}-help` }, prose(schema.description ?? ''), ' ', usual(schema));
  const error = h('p', { class: 'field-error', id: `${id}-error` });
  const described = `${id}-help ${id}-error`;
  const name = [label(key), h('code', { class: 'key' }, key), required && h('span', { class: 'required' }, 'required')];
  const { control } = editor;
  /** @type {HTMLElement} */
  let plain;
  if (control) {
    control.id = id;
    control.dataset.key = key;
    control.setAttribute('aria-describedby', described);
    if (required) control.setAttribute('aria-required', 'true');
    const label = h('label', { for: id }, name);
    plain = control.type === 'checkbox'
      ? h('div', { class: 'field' }, h('div', { class: 'choice' }, editor.element, h('div', label, help)), error)
      : h('div', { class: 'field' }, label, help, editor.element, error);
  } else {
    plain = h('fieldset', { class: 'field', 'aria-describedby': described }, h('legend', name), help, editor.element, error);
  }
  const element = Object.assign(plain, {
    failed: false,
    fail(/** @type {string} */ message) {
      element.failed = Boolean(message);
      fill(error, prose(message));
      const target = control ?? plain.querySelector('input, select, textarea');
      if (message) target?.setAttribute('aria-invalid', 'true');
      else target?.removeAttribute('aria-invalid');
    },
  });
  // What was wrong is being put right.
  for (const event of ['input', 'change']) element.addEventListener(event, () => element.failed && element.fail(''));
  return element;
}

function usual(/** @type {Schema} */ schema) {
  /** @type {Child[]} */
  const parts = [];
  if (schema.default !== undefined && typeof schema.default !== 'object') parts.push('Default: ', h('code', String(schema.default)), '. ');
  const simple = (schema.examples ?? []).filter(example => typeof example !== 'object');
  if (simple.length > 1) parts.push('Such as ', simple.map((example, at) => [at > 0 && ', ', h('code', String(example))]), '.');
  return parts;
}

/**
 * Picks the editor for a schema.
 *
 * @param {Schema} schema
 * @param {unknown} value
 * @param {Context} context
 * @returns {Editor}
 */
function editorOf(schema, value, context) {
  if (schema.oneOf) return alternatives(schema, schema.oneOf, value, context);
  if (schema.enum) return choice(schema, schema.enum, value);
  switch (schema.type) {
    case 'boolean': return toggle(schema, value);
    case 'integer':
    case 'number': return numeric(schema, value);
    case 'array': return list(value, context);
    case 'object': return schema.properties ? nested(schema, value) : dictionary(schema, value, context);
    default: return text(schema, value, context);
  }
}

/** @returns {Editor} */
function simple(/** @type {HTMLInputElement | HTMLSelectElement} */ control, /** @type {() => unknown} */ read) {
  return { element: control, control, value: read, focus: () => control.focus() };
}

/** A value as a text field shows it. */
const asText = (/** @type {unknown} */ value) => (value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value));

function text(/** @type {Schema} */ schema, /** @type {unknown} */ value, /** @type {Context} */ { suggestions }) {
  const control = h('input', { type: 'text', value: asText(value), autocomplete: 'off', spellcheck: 'false', list: suggestions, placeholder: asText(schema.default ?? schema.examples?.[0]) });
  return simple(control, () => control.value.trim() || undefined);
}

function numeric(/** @type {Schema} */ schema, /** @type {unknown} */ value) {
  const control = h('input', { type: 'number', value: asText(value), min: schema.minimum, max: schema.maximum, step: schema.type === 'integer' ? 1 : 'any', placeholder: asText(schema.default) });
  return simple(control, () => (control.value === '' ? undefined : Number(control.value)));
}

function toggle(/** @type {Schema} */ schema, /** @type {unknown} */ value) {
  const control = h('input', { type: 'checkbox', checked: (value ?? schema.default) === true });
  return simple(control, () => control.checked);
}

function choice(/** @type {Schema} */ schema, /** @type {string[]} */ values, /** @type {unknown} */ value) {
  const chosen = value ?? schema.default;
  const entries = values.map(each => h('option', { value: each, selected: each === chosen }, each === schema.default ? `${each} (default)` : each));
  const control = h('select', chosen === undefined && h('option', { value: '' }, '(not set)'), entries);
  return simple(control, () => control.value || undefined);
}

/** A text that names one of the things there are. What it was stays there to choose, even where it is gone. */
function chooser(/** @type {Entries} */ entries, /** @type {unknown} */ value) {
  const control = h('select');
  const draw = () => {
    const chosen = control.value || asText(value);
    const there = entries();
    const known = there.some(([each]) => each === chosen);
    fill(control, h('option', { value: '' }, there.length ? 'Choose…' : 'None is there'), there.map(([each, name]) => h('option', { value: each }, name)),
      chosen && !known && h('option', { value: chosen }, chosen));
    control.value = chosen;
  };
  draw();
  return simple(control, () => control.value || undefined);
}

/**
 * A list of texts: entered one by one, or pasted with commas or line breaks between them.
 *
 * @returns {Editor}
 */
function list(/** @type {unknown} */ value, /** @type {Context} */ { suggestions, label }) {
  const items = Array.isArray(value) ? value.map(asText) : [];
  const shown = h('ul', { class: 'chips' });
  const input = h('input', {
    type: 'text', autocomplete: 'off', spellcheck: 'false', list: suggestions, 'aria-label': `Add to ${label}`, placeholder: 'Name, or several with commas',
    onkeydown: event => {
      if (event.key !== 'Enter') return;
      event.preventDefault();
      add();
    },
  });
  const draw = () => fill(shown, items.map((item, at) => h('li', h('code', item), button('×', () => {
    items.splice(at, 1);
    draw();
    announce(`${item} removed`);
    const next = shown.querySelectorAll('button')[Math.min(at, items.length - 1)];
    (next ?? input).focus();
  }, { class: 'quiet small', 'aria-label': `Remove ${item}` }))));
  const typed = () => [...new Set(input.value.split(/[,\n\t]/).map(part => part.trim()).filter(part => part && !items.includes(part)))];
  const add = () => {
    const added = typed();
    items.push(...added);
    input.value = '';
    draw();
    if (added.length) announce(`${added.join(', ')} added`);
  };
  draw();
  return {
    element: h('div', { class: 'list-editor' }, shown, h('div', { class: 'with-button' }, input, button('Add', add, { 'aria-label': `Add to ${label}` }))),
    // What was typed and not added was meant.
    value() {
      const all = [...items, ...typed()];
      return all.length ? all : undefined;
    },
    focus: () => input.focus(),
  };
}

/**
 * An object whose keys are free: rows of a key and a value of its schema.
 *
 * @param {Schema} schema
 * @param {unknown} value
 * @param {Context} context
 * @returns {Editor}
 */
function dictionary(schema, value, { suggestions, label }) {
  const inner = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : {};
  /** @type {{ name: HTMLInputElement, editor: Editor }[]} */
  const rows = [];
  const body = h('div', { class: 'rows' });
  const add = (key = '', /** @type {unknown} */ was = undefined) => {
    const name = h('input', { type: 'text', value: key, autocomplete: 'off', spellcheck: 'false', list: suggestions, 'aria-label': `${label}: name`, placeholder: 'Name' });
    const editor = editorOf(inner, was, { label: `${label}: value` });
    const { control } = editor;
    control?.setAttribute('aria-label', `${label}: value`);
    if (control instanceof HTMLInputElement && !control.placeholder && control.type === 'text') control.placeholder = 'Value';
    const row = { name, editor };
    const element = h('div', { class: control ? 'row' : 'row deep' }, name, control && h('span', { 'aria-hidden': 'true' }, '→'), editor.element,
      button('×', () => {
        rows.splice(rows.indexOf(row), 1);
        element.remove();
        more.focus();
      }, { class: 'quiet small', 'aria-label': `Remove this row of ${label}` }));
    rows.push(row);
    body.append(element);
    return row;
  };
  const more = button('Add a row', () => add().name.focus(), { class: 'small', 'aria-label': `Add a row to ${label}` });
  for (const [key, was] of Object.entries(isObject(value) ? value : {})) add(key, was);
  return {
    element: h('div', { class: 'dictionary' }, body, more),
    value() {
      /** @type {Values} */
      const object = {};
      for (const { name, editor } of rows) {
        const inside = editor.value();
        if (name.value.trim()) object[name.value.trim()] = inside ?? emptyOf(inner);
      }
      return Object.keys(object).length ? object : undefined;
    },
    focus: () => (rows[0]?.name ?? more).focus(),
  };
}

const emptyOf = (/** @type {Schema} */ schema) => (schema.type === 'object' ? {} : schema.type === 'array' ? [] : '');

/**
 * An object with keys of its own.
 *
 * @returns {Editor}
 */
function nested(/** @type {Schema} */ schema, /** @type {unknown} */ value) {
  const form = schemaForm(schema, isObject(value) ? value : {}, { first: Object.keys(schema.properties ?? {}) });
  return {
    element: form.element,
    value: () => (Object.keys(form.value()).length ? form.value() : undefined),
    focus() {
      const first = form.element.querySelector('input, select');
      if (first instanceof HTMLElement) first.focus();
    },
  };
}

/**
 * One of several kinds of value.
 *
 * @param {Schema} schema
 * @param {Schema[]} kinds
 * @param {unknown} value
 * @param {Context} context
 * @returns {Editor}
 */
function alternatives(schema, kinds, value, context) {
  const meant = value ?? schema.default;
  let chosen = meant === undefined ? -1 : kinds.findIndex(each => isOf(each, meant));
  /** @type {Editor | null} */
  let editor = null;
  const place = h('div');
  const draw = (/** @type {unknown} */ was) => {
    editor = chosen < 0 ? null : editorOf(kinds[chosen], was, context);
    editor?.control?.setAttribute('aria-label', context.label);
    fill(place, editor?.element);
  };
  const kind = h('select', {
    'aria-label': `${context.label}: kind`, class: 'kind',
    onchange: () => {
      chosen = Number(kind.value);
      draw(undefined);
    },
  }, schema.default === undefined && h('option', { value: -1 }, '(not set)'), kinds.map((each, at) => h('option', { value: at, selected: at === chosen }, nameOf(each))));
  if (chosen < 0) kind.value = '-1';
  draw(meant);
  return { element: h('div', { class: 'alternatives' }, kind, place), value: () => editor?.value(), focus: () => kind.focus() };
}

/**
 * @param {unknown} value
 * @returns {value is Values}
 */
const isObject = value => value !== null && typeof value === 'object' && !Array.isArray(value);

function isOf(/** @type {Schema} */ schema, /** @type {unknown} */ value) {
  if (schema.enum) return typeof value === 'string' && schema.enum.includes(value);
  if (schema.type === 'array') return Array.isArray(value);
  if (schema.type === 'object') return isObject(value);
  return typeof value === (schema.type === 'integer' ? 'number' : schema.type);
}

function nameOf(/** @type {Schema} */ schema) {
  if (schema.title) return schema.title;
  if (schema.enum) return 'The same for all';
  if (schema.type === 'array') return 'A list of names';
  if (schema.type === 'object') return 'One for each name';
  return sentence(schema.type ?? 'value');
}

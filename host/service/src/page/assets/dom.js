// Elements without markup: every text goes into a text node, so that no value of a CRM can become HTML.

/** @import { Attributes, Child, Rest } from '../types/dom' */

const SVG = 'http://www.w3.org/2000/svg';
// Set as properties, because their attributes mean something else or nothing once the element is there.
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'open', 'selected', 'hidden', 'required', 'multiple', 'readOnly']);

/**
 * An element: `h('p', {class: 'note', onclick: f}, 'text', child)`. The attributes may be left out; null children are.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Rest<HTMLElementTagNameMap[T]>} rest
 */
export function h(tag, ...rest) {
  return build(document.createElement(tag), rest);
}

/**
 * The same for SVG.
 *
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Rest<SVGElementTagNameMap[T]>} rest
 */
export function svg(tag, ...rest) {
  return build(document.createElementNS(SVG, tag), rest);
}

/**
 * @template {Element} E
 * @param {E} element
 * @param {Rest<E>} rest
 */
function build(element, rest) {
  const [first, ...others] = rest;
  const attributes = isAttributes(first) ? first : null;
  element.append(...nodes(attributes ? others : rest));
  // After the children: a select has no value before it has options.
  for (const [name, value] of Object.entries(attributes ?? {})) set(element, name, value);
  return element;
}

/**
 * @template E
 * @param {Attributes<E> | Child} first
 * @returns {first is Attributes<E>}
 */
const isAttributes = first => Boolean(first) && typeof first === 'object' && !(first instanceof Node) && !Array.isArray(first);

/**
 * @param {Element} element
 * @param {string} name
 * @param {unknown} value
 */
function set(element, name, value) {
  if (value === undefined || value === null) return;
  if (typeof value === 'function') element.addEventListener(name.slice(2), event => value(event));
  else if (PROPERTIES.has(name)) Object.assign(element, { [name]: value });
  else if (value === true) element.setAttribute(name, '');
  else if (value !== false) element.setAttribute(name, String(value));
}

/** What is not seen and does something: control characters, and those that turn the direction of what follows. */
const ACTING = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A text that is not ours: what acts is shown instead. */
const visible = (/** @type {string} */ text) => text.replace(ACTING, c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/**
 * @param {readonly unknown[]} children
 * @returns {(Node | string)[]}
 */
function nodes(children) {
  return children.flatMap(child => {
    if (child === null || child === undefined || child === false) return [];
    return Array.isArray(child) ? nodes(child) : [child instanceof Node ? child : visible(String(child))];
  });
}

/**
 * Replaces what is in an element.
 *
 * @template {Element} E
 * @param {E} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

let last = 0;
/** An id for `for`, `aria-describedby` and their like. */
export function newId(prefix = 'e') {
  last += 1;
  return `${prefix}-${last}`;
}

/** The element of the page's own HTML that has this id. */
export function theElement(/** @type {string} */ id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Says something to those who do not see the page. */
export function announce(/** @type {string} */ text) {
  const announcer = theElement('announcer');
  if (announcer.textContent !== text) announcer.textContent = text;
}

/** Moves the focus to an element that cannot have it by itself, such as a heading. */
export function focusOn(/** @type {HTMLElement | null | undefined} */ element) {
  if (!element) return;
  if (element.tabIndex < 0 && !element.hasAttribute('tabindex')) element.setAttribute('tabindex', '-1');
  element.focus();
}

// Elements without markup: every text goes into a text node, so that no value of a CRM can become HTML.

const SVG = 'http://www.w3.org/2000/svg';
// Set as properties, because their attributes mean something else or nothing once the element is there.
const PROPERTIES = new Set(['value', 'checked', 'disabled', 'open', 'selected', 'hidden', 'required', 'multiple', 'readOnly']);

/** An element: `h('p', {class: 'note', onclick: f}, 'text', child)`. The attributes may be left out; null children are. */
export function h(tag, ...rest) {
  return build(document.createElement(tag), rest);
}

/** The same for SVG. */
export function svg(tag, ...rest) {
  return build(document.createElementNS(SVG, tag), rest);
}

function build(element, rest) {
  const first = rest[0];
  const attributes = first && typeof first === 'object' && !(first instanceof Node) && !Array.isArray(first) ? rest.shift() : {};
  element.append(...nodes(rest));
  // After the children: a select has no value before it has options.
  for (const [name, value] of Object.entries(attributes)) set(element, name, value);
  return element;
}

function set(element, name, value) {
  if (value === undefined || value === null) return;
  if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
  else if (PROPERTIES.has(name)) element[name] = value;
  else if (value === true) element.setAttribute(name, '');
  else if (value !== false) element.setAttribute(name, String(value));
}

function nodes(children) {
  return children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false);
}

/** Replaces what is in an element. */
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

/** Says something to those who do not see the page. */
export function announce(text) {
  const announcer = document.getElementById('announcer');
  if (announcer.textContent !== text) announcer.textContent = text;
}

/** Moves the focus to an element that cannot have it by itself, such as a heading. */
export function focusOn(element) {
  if (!element) return;
  if (element.tabIndex < 0 && !element.hasAttribute('tabindex')) element.setAttribute('tabindex', '-1');
  element.focus();
}

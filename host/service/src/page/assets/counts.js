// Counts that add up: a bar of their shares, and the sum in figures.

import { h, svg } from './dom.js';
import { number } from './words.js';

/** A bar of shares. `parts`: `[name, value]`; the name is also the class that colours it. It repeats what stands beside it. */
export function bar(/** @type {[name: string, value: number][]} */ parts) {
  const there = parts.filter(([, value]) => value > 0);
  const total = there.reduce((sum, [, value]) => sum + value, 0);
  // One record in a million is to be seen, too.
  const widths = there.map(([, value]) => Math.max((value / total) * 1000, 6));
  const scale = 1000 / widths.reduce((sum, width) => sum + width, 0);
  let x = 0;
  const shares = there.map(([name], at) => {
    const width = widths[at] * scale;
    const share = svg('rect', { class: `fill-${name}`, x: x.toFixed(2), y: 0, width: width.toFixed(2), height: 10 });
    x += width;
    return share;
  });
  return svg('svg', { class: 'bar', viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, shares);
}

/** Figures with what they count, `=` and `+` between them. `parts`: `{name, value, text}`, the first is the sum of the others. */
export function sum(/** @type {{ name?: string, value: number, text: string }[]} */ parts) {
  return h('ul', { class: 'sum' }, parts.map(({ name, value, text }, at) => h('li', { class: at === 0 ? 'whole' : '' },
    at > 0 && h('span', { class: 'sign', 'aria-hidden': 'true' }, at === 1 ? '=' : '+'),
    h('span', { class: 'figure' }, h('strong', number(value)), h('span', name && h('span', { class: `dot dot-${name}`, 'aria-hidden': 'true' }), text)))));
}

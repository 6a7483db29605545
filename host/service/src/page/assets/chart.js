// The calls of a run against the limit of the CRM, both counted in the CRM's own window. Drawn by hand as SVG, with its figures beside it.

import { fill, h, svg } from './dom.js';
import { number, count as counted } from './words.js';

const HEIGHT = 150;
const LEFT = 34;
const BOTTOM = 22;
const TOP = 14;
/** Seconds that are kept; a longer run shows its end. */
const KEPT = 6 * 3600;

/** @typedef {{ calls: number, per_seconds: number }} Limit */
/** @typedef {{ at: string, calls: number, throttled?: number, limit?: Limit | null }} Second What a run's stream says of a second. */

/** A chart: `{element, add(second), replace(points, width, limit), stop()}`. A point stands for `width` seconds. */
export function rateChart() {
  /** @type {Map<number, number>} */
  let seconds = new Map();
  /** @type {Limit | null} */
  let limit = null;
  let throttled = 0;
  let widest = 1;
  const picture = h('div', { class: 'chart' });
  const caption = h('figcaption');
  const figures = h('div');
  const numbers = h('details', { class: 'more', ontoggle: () => drawNumbers() }, h('summary', 'As numbers'), figures);
  const element = h('figure', { class: 'rate' }, picture, caption, numbers);
  const resized = new ResizeObserver(() => draw());
  resized.observe(picture);

  const keep = (/** @type {number} */ second, /** @type {number} */ calls) => {
    if (Number.isFinite(second)) seconds.set(second, (seconds.get(second) ?? 0) + calls);
    const [oldest] = seconds.keys();
    if (seconds.size > KEPT) seconds.delete(oldest);
  };
  const secondOf = (/** @type {string} */ at) => Math.floor(new Date(at).getTime() / 1000);

  /** Calls of each second from the first to the last; where nothing was said there were none. */
  function series() {
    if (seconds.size === 0) return [];
    const known = [...seconds.keys()].sort((a, b) => a - b);
    const first = known[0];
    /** @type {number[]} */
    const values = new Array(known[known.length - 1] - first + 1).fill(0);
    for (const second of known) values[second - first] = seconds.get(second) ?? 0;
    return values;
  }

  /** Seconds of the CRM's window; one where it is not known. */
  const span = () => Math.max(1, Math.round(limit?.per_seconds ?? 1));

  /** What was called in the window that ends with each second: that is what the CRM counts. */
  function windows(/** @type {number[]} */ each) {
    let sum = 0;
    return each.map((calls, at) => {
      sum += calls - (at >= span() ? each[at - span()] : 0);
      return Math.max(0, sum);
    });
  }

  function draw() {
    const calls = series();
    const values = windows(calls);
    const width = Math.max(220, Math.floor(picture.clientWidth || 600));
    const peak = Math.max(0, ...buckets(values, values.length));
    const words = calls.some(each => each > 0) ? describe(calls, peak) : 'No call was counted yet.';
    fill(caption, words);
    fill(picture, plot(values, peak, width, words));
    drawNumbers();
  }

  function describe(/** @type {number[]} */ values, /** @type {number} */ peak) {
    const all = values.reduce((sum, calls) => sum + calls, 0);
    const within = span() > 1 ? `in any ${span()} seconds` : 'in a second';
    const each = values.length > 1 ? `: ${round(peak)} at most ${within}${widest > 1 ? `, as far as points of ${widest} seconds tell` : ''}` : '';
    const against = limit ? `The limit is ${round(limit.calls)} ${within}.` : "The CRM's limit is not known yet.";
    return `${counted(Math.round(all), 'call')} in ${counted(values.length, 'second')}${each}. ${against}${throttled ? ` The CRM refused ${counted(throttled, 'call')} as too many.` : ''}`;
  }

  /**
   * @param {number[]} values
   * @param {number} peak
   * @param {number} width
   * @param {string} words
   */
  function plot(values, peak, width, words) {
    const top = Math.max(peak, limit?.calls ?? 0, 1) * 1.1;
    const y = (/** @type {number} */ calls) => HEIGHT - BOTTOM - (calls / top) * (HEIGHT - BOTTOM - TOP);
    const shown = buckets(values, Math.floor((width - LEFT) / 3));
    const step = (width - LEFT - 8) / Math.max(shown.length, 20);
    const bars = shown.map((calls, at) => calls > 0 && svg('rect', {
      class: 'rate-bar', x: (LEFT + at * step).toFixed(1), y: y(calls).toFixed(1), width: Math.max(step - 1, 0.8).toFixed(1), height: Math.max(HEIGHT - BOTTOM - y(calls), 0).toFixed(1),
    }));
    const line = (/** @type {number} */ at, /** @type {string} */ name) => svg('line', { class: name, x1: LEFT, x2: width - 8, y1: at.toFixed(1), y2: at.toFixed(1) });
    /**
     * @param {string} text
     * @param {number} x
     * @param {number} at
     * @param {'start' | 'end'} anchor
     */
    const label = (text, x, at, anchor) => svg('text', { class: 'axis', x, y: at.toFixed(1), 'text-anchor': anchor }, text);
    return svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: 'img', 'aria-label': `${span() > 1 ? `Calls in ${span()} seconds` : 'Calls a second'}. ${words}` },
      line(y(0), 'axis-line'), label('0', LEFT - 6, y(0) + 4, 'end'),
      peak > 0 && y(0) - y(peak) > 14 && (!limit || Math.abs(y(peak) - y(limit.calls)) > 14) && label(round(peak), LEFT - 6, y(peak) + 4, 'end'), bars,
      limit !== null && [line(y(limit.calls), 'limit-line'), label(round(limit.calls), LEFT - 6, y(limit.calls) + 4, 'end'), label(`limit in ${span()} s`, width - 8, y(limit.calls) - 4, 'end')],
      label('0 s', LEFT, HEIGHT - 6, 'start'), values.length > 1 && label(`${values.length} s`, LEFT + shown.length * step, HEIGHT - 6, shown.length < 5 ? 'start' : 'end'));
  }

  function drawNumbers() {
    if (!numbers.open) return;
    const values = windows(series());
    const shown = buckets(values, 30);
    const each = values.length / Math.max(shown.length, 1);
    fill(figures, h('p', { class: 'value' }, shown.length ? shown.map((calls, at) => `${Math.round(at * each)} s: ${round(calls)}`).join(', ') : 'None.'),
      each > 1 && h('p', { class: 'help' }, `Each is the most of ${Math.ceil(each)} seconds.`));
  }

  draw();
  return {
    element,
    add(/** @type {Second} */ second) {
      keep(secondOf(second.at), second.calls);
      throttled += second.throttled ?? 0;
      if (second.limit) limit = second.limit;
      draw();
    },
    /**
     * @param {{ at: string, calls: number }[]} points
     * @param {number} width
     * @param {Limit | null | undefined} known
     */
    replace(points, width, known) {
      seconds = new Map();
      widest = width;
      for (const { at, calls } of points) {
        for (let part = 0; part < width; part += 1) keep(secondOf(at) + part, calls / width);
      }
      if (known) limit = known;
      draw();
    },
    stop: () => resized.disconnect(),
  };
}

const round = (/** @type {number} */ value) => number(Math.round(value * 10) / 10);

/** At most `many` values, each the largest of its share: a peak must not disappear. */
function buckets(/** @type {number[]} */ values, /** @type {number} */ many) {
  if (values.length <= many || many < 1) return values;
  const each = values.length / many;
  return Array.from({ length: many }, (_, at) => {
    let most = 0;
    for (let index = Math.floor(at * each); index < Math.floor((at + 1) * each); index += 1) most = Math.max(most, values[index]);
    return most;
  });
}

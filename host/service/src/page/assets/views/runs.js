// The org's runs, newest first.

/** @import { Run } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, get } from '../api.js';
import { h } from '../dom.js';
import { field, heading, link, options, paged, person, statusBadge, table, time } from '../parts.js';
import { STATUS, countsInWords, worked } from '../words.js';

/** What runs can be looked for by. */
const FILTERS = /** @type {const} */ (['queued', 'waiting', 'running', 'cancelling', 'interrupted', 'succeeded', 'failed', 'stopped']);

export async function view(/** @type {Visit} */ { query, signal, go }) {
  const destinations = await all('/destinations', { signal });
  const names = new Map(destinations.map(each => [each.id, each.name]));
  const chosen = FILTERS.find(each => each === query.get('status'));
  const status = field('Status', h('select', options([['', 'All'], ...FILTERS.map(each => /** @type {[string, string]} */ ([each, each === 'failed' ? 'With problems, or failed' : STATUS[each].name]))], chosen ?? '')));
  const destination = field('Destination', h('select', options([['', 'All'], ...names], query.get('destination_id') ?? '')));
  const list = runList({ signal, names, query: { status: chosen, destination_id: query.get('destination_id') ?? undefined } });
  await list.restart();
  return h('div', heading('Runs', { intro: 'Confirmed pushes, newest first.' }),
    h('form', {
      class: 'filter', onsubmit: event => {
        event.preventDefault();
        const wanted = new URLSearchParams(Object.entries({ status: status.control.value, destination_id: destination.control.value }).filter(([, value]) => value));
        go(`#/runs${wanted.size ? `?${wanted}` : ''}`);
      },
    }, destination, status, h('button', { type: 'submit' }, 'Filter')), list);
}

/**
 * A list of runs by pages.
 *
 * @param {{ signal: AbortSignal, names?: Map<string, string>, query: { status?: typeof FILTERS[number], destination_id?: string }, limit?: number }} how
 */
export function runList({ signal, names, query, limit = 50 }) {
  return paged({
    signal, what: 'runs', none: 'There is no run.',
    load: (after, signal) => get('/runs', { signal, query: { ...query, after, limit } }),
    show: items => table('Runs', [
      { label: 'Run', header: true, cell: run => [link(run.run_id, `#/runs/${encodeURIComponent(run.run_id)}`), run.undoes && h('div', { class: 'muted small-text' }, `undoes ${run.undoes}`)] },
      ...(names ? [{ label: 'Destination', cell: (/** @type {Run} */ run) => names.get(run.destination_id) ?? run.destination_id }] : []),
      { label: 'Status', cell: run => statusBadge(run) },
      { label: 'Outcomes', cell: countsInWords },
      { label: 'Started', cell: run => time(run.started_at ?? run.created_at) },
      { label: 'At work', cell: run => (run.started_at ? worked(run) : '–') },
      { label: 'By', cell: run => person(run.started_by) },
    ], items),
  });
}

// The org's runs, newest first.

import { all, get } from '../api.js';
import { h } from '../dom.js';
import { field, heading, link, options, paged, person, statusBadge, table, time } from '../parts.js';
import { OUTCOMES, STATUS, duration, number } from '../words.js';

export async function view({ query, signal, go }) {
  const destinations = await all('/destinations', { signal });
  const names = new Map(destinations.map(each => [each.id, each.name]));
  const status = field('Status', h('select', options([['', 'All'], ...Object.entries(STATUS).map(([key, { name }]) => [key, name])], query.get('status') ?? '')));
  const destination = field('Destination', h('select', options([['', 'All'], ...names], query.get('destination_id') ?? '')));
  const list = runList({ signal, names, query: { status: query.get('status'), destination_id: query.get('destination_id') } });
  await list.restart();
  return h('div', heading('Runs', { intro: 'Confirmed pushes, newest first.' }),
    h('form', {
      class: 'filter', onsubmit: event => {
        event.preventDefault();
        const chosen = new URLSearchParams(Object.entries({ status: status.control.value, destination_id: destination.control.value }).filter(([, value]) => value));
        go(`#/runs${chosen.size ? `?${chosen}` : ''}`);
      },
    }, destination, status, h('button', { type: 'submit' }, 'Filter')), list);
}

/** A list of runs by pages. */
export function runList({ signal, names, query, limit = 50 }) {
  return paged({
    signal, what: 'runs', none: 'There is no run.',
    load: (after, signal) => get('/runs', { signal, query: { ...query, after, limit } }),
    show: items => table('Runs', [
      { label: 'Run', header: true, cell: run => [link(run.run_id, `#/runs/${encodeURIComponent(run.run_id)}`), run.undoes && h('div', { class: 'muted small-text' }, `undoes ${run.undoes}`)] },
      names && { label: 'Destination', cell: run => names.get(run.destination_id) ?? run.destination_id },
      { label: 'Status', cell: run => statusBadge(run.status) },
      { label: 'Outcomes', cell: run => outcomes(run) },
      { label: 'Started', cell: run => time(run.started_at ?? run.created_at) },
      { label: 'Took', cell: run => (run.started_at && run.ended_at ? duration(run.started_at, run.ended_at) : '–') },
      { label: 'By', cell: run => person(run.started_by) },
    ].filter(Boolean), items),
  });
}

function outcomes(run) {
  return Object.keys(OUTCOMES).filter(name => name !== 'skipped' && (run[name] > 0 || name === 'updated')).map(name => `${number(run[name])} ${name}`).join(', ');
}

// The audit log: who did what, newest first. It cannot be changed.

import { get } from '../api.js';
import { h } from '../dom.js';
import { badge, code, facts, heading, link, paged, table, time } from '../parts.js';
import { number, sentence } from '../words.js';

const ACTIONS = {
  'destination.reverse_run': ['Reverse run', 'good'],
  'destination.reverse_run.failed': ['Reverse run, not all well', 'bad'],
};

export async function view({ signal }) {
  const list = paged({
    signal, what: 'rows', none: 'Nothing has happened yet.',
    load: (after, signal) => get('/audit-log', { signal, query: { after, limit: 50 } }),
    show: items => table('Audit log', [
      { label: 'No.', class: 'number', cell: row => number(row.seq) },
      { label: 'When', cell: row => time(row.at) },
      { label: 'Who', cell: row => row.who },
      { label: 'What', header: true, cell: action },
      { label: 'On', cell: on },
      { label: 'Counts', cell: counts },
      { label: 'Details', cell: details },
    ], items),
  });
  await list.restart();
  return h('div', heading('Audit log', { intro: 'Every reverse run leaves a row, successful or not. Rows are chained by their hashes; reverse-sync audit verify checks the chain.' }), list);
}

function action(row) {
  const [words, tone] = ACTIONS[row.action] ?? [null, 'quiet'];
  return [badge(words ?? row.action, tone), words && h('div', { class: 'muted small-text' }, row.action)];
}

function on(row) {
  return [
    row.destination_id && h('div', link(row.destination_id, `#/destinations/${encodeURIComponent(row.destination_id)}`)),
    row.run_id && h('div', link(row.run_id, `#/runs/${encodeURIComponent(row.run_id)}`)),
    row.plan_id && h('div', link(`${row.plan_id.slice(0, 13)}…`, `#/plans/${encodeURIComponent(row.plan_id)}`, { title: row.plan_id })),
  ];
}

function counts(row) {
  const some = Object.entries(row.counts ?? {}).filter(([, value]) => typeof value === 'number' && value > 0);
  return some.length ? some.map(([name, value]) => `${number(value)} ${name.replaceAll('_', ' ')}`).join(', ') : '–';
}

function details(row) {
  return h('details', h('summary', 'More', h('span', { class: 'unseen' }, ` about row ${row.seq}`)), facts([
    ['Component', row.component && code(row.component)],
    ...Object.entries(row.detail ?? {}).map(([key, value]) => [sentence(key), typeof value === 'object' ? code(JSON.stringify(value)) : String(value)]),
    ['Hash', row.hash && code(row.hash)],
  ]));
}

// The audit log: who did what, newest first. It cannot be changed.

/** @import { AuditRow } from '../../types/api' */
/** @import { Child, Visit } from '../../types/dom' */

import { all, get } from '../api.js';
import { h } from '../dom.js';
import { badge, code, facts, heading, link, paged, person, table, time } from '../parts.js';
import { OUTCOMES, number, sentence } from '../words.js';

/** @type {Record<string, [words: string, tone?: string]>} */
const ACTIONS = {
  'destination.reverse_run': ['Reverse run', 'good'],
  'destination.reverse_run.failed': ['Reverse run, not all well', 'bad'],
  'destination.create': ['Destination made'],
  'destination.update': ['Destination changed'],
  'destination.delete': ['Destination deleted'],
  'source.create': ['Source connected'],
  'source.update': ['Source changed'],
  'source.delete': ['Source deleted'],
  'golden.replace': ['Golden records replaced'],
  'run.begin': ['Run confirmed'],
  'run.refused': ['Confirmation refused', 'warn'],
  'run.cancel': ['Run cancelled'],
  'run.resume': ['Run resumed'],
  'org.create': ['Org made'],
  'org.quota': ['Quota set'],
  'api_key.create': ['API key made'],
  'api_key.revoke': ['API key revoked'],
  'api_key.refused': ['Unknown key refused', 'warn'],
  'session.open': ['Signed in'],
};

export async function view(/** @type {Visit} */ { signal }) {
  const names = new Map((await all('/destinations', { signal })).map(each => [each.id, each.name]));
  const list = paged({
    signal, what: 'rows', none: 'Nothing has happened yet.',
    load: (after, signal) => get('/audit-log', { signal, query: { after, limit: 50 } }),
    show: items => table('Audit log', [
      { label: 'No.', class: 'number', cell: row => number(row.seq) },
      { label: 'When', cell: row => time(row.at) },
      { label: 'Who', cell: row => person(row.who) },
      { label: 'What', header: true, cell: action },
      { label: 'On', cell: row => on(row, names) },
      { label: 'Counts', cell: counts },
      { label: 'Details', cell: details },
    ], items),
  });
  list.classList.add('audit');
  await list.restart();
  return h('div', heading('Audit log', { intro: ['Every reverse run leaves a row, successful or not. Rows are chained by their hashes; ', code('reverse-sync audit verify'), ' checks the chain.'] }), list);
}

function action(/** @type {AuditRow} */ row) {
  const [words, tone = 'quiet'] = ACTIONS[row.action] ?? [];
  return [badge(words ?? row.action, tone), words && h('div', { class: 'muted small-text' }, row.action)];
}

function on(/** @type {AuditRow} */ row, /** @type {Map<string, string>} */ names) {
  return [
    row.destination_id && h('div', link(names.get(row.destination_id) ?? row.destination_id, `#/destinations/${encodeURIComponent(row.destination_id)}`)),
    row.run_id && h('div', link(row.run_id, `#/runs/${encodeURIComponent(row.run_id)}`)),
    row.plan_id && h('div', link(`${row.plan_id.slice(0, 13)}…`, `#/plans/${encodeURIComponent(row.plan_id)}`, { title: row.plan_id })),
  ];
}

function counts(/** @type {AuditRow} */ row) {
  const some = Object.keys(OUTCOMES).map(name => /** @type {[string, number]} */ ([name, Number(row.counts?.[name] ?? 0)])).filter(([, many]) => many > 0);
  return some.length ? some.map(([name, many]) => `${number(many)} ${name}`).join(', ') : '–';
}

function details(/** @type {AuditRow} */ row) {
  return h('details', h('summary', 'More', h('span', { class: 'unseen' }, ` about row ${row.seq}`)), facts([
    ['Who', row.who],
    ['Component', row.component && code(row.component)],
    ...Object.entries(row.detail).filter(([, value]) => value !== null).map(([key, value]) => /** @type {[string, Child]} */ ([sentence(key), typeof value === 'object' ? code(JSON.stringify(value)) : String(value)])),
    ['Hash', code(row.hash)],
  ]));
}

// The org's golden records: one set for each entity type, from a file or a query. A new one replaces the one before as a whole.

/** @import { GoldenSet } from '../../types/api' */
/** @import { Field, Visit } from '../../types/dom' */

import { all, put, upload } from '../api.js';
import { announce, fill, h, newId } from '../dom.js';
import { button, code, copyable, during, empty, field, heading, longText, notice, person, radios, section, slot, table, time } from '../parts.js';
import { can } from '../session.js';
import { bytes, count, number } from '../words.js';

/** @type {[RegExp, string][]} */
const TYPES = [[/\.csv$/i, 'text/csv'], [/\.(jsonl|ndjson)$/i, 'application/x-ndjson'], [/\.parquet$/i, 'application/vnd.apache.parquet']];
/** @type {[RegExp, string][]} */
const PACKED = [[/\.gz$/i, 'gzip'], [/\.zst$/i, 'zstd']];

export async function view(/** @type {Visit} */ { signal, go }) {
  const [sets, destinations] = await Promise.all([all('/golden', { signal }), all('/destinations', { signal })]);
  return h('div',
    heading('Golden records', { intro: 'What the resolver made of duplicates: the values to write, each with the id of its CRM record.' }),
    sets.length ? table('Golden records', [
      { label: 'Entity type', header: true, cell: set => set.entity_type },
      { label: 'Records', class: 'number', cell: set => number(set.records) },
      { label: 'From', cell: set => (set.query ? ['a query: ', longText(set.query, 60)] : `${set.format}, ${bytes(set.bytes)}`) },
      { label: 'Columns', cell: set => (set.columns.length ? longText(set.columns.join(', '), 60) : '–') },
      { label: 'Since', cell: set => [time(set.created_at), ' by ', person(set.created_by)] },
      { label: 'Id', cell: set => copyable(set.id) },
    ], sets) : empty('There are no golden records yet.'),
    can('operator') ? uploading(sets, [...new Set([...sets, ...destinations].map(each => each.entity_type))], signal, go) : h('p', { class: 'muted' }, 'Uploading needs the role operator.'));
}

/**
 * @param {GoldenSet[]} sets
 * @param {string[]} known
 * @param {AbortSignal} signal
 * @param {Visit['go']} go
 */
function uploading(sets, known, signal, go) {
  const where = slot();
  const list = h('datalist', { id: newId('list') }, known.map(value => h('option', { value })));
  const entity = field('Entity type', h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', list: list.id, placeholder: 'person', value: known.length === 1 ? known[0] : '' }));
  const file = field('File', h('input', { type: 'file', accept: '.csv,.jsonl,.ndjson,.parquet,.gz,.zst' }), { help: 'CSV, JSON Lines or Parquet; the first two also packed (.gz, .zst).' });
  const url = field('Database', h('input', { type: 'password', autocomplete: 'off', placeholder: 'postgres://user:password@host/database' }), { help: 'postgres://… or sqlite://…; it is used once and not kept. Which databases may be read is the decision of whoever runs the service.' });
  const query = field('Query', h('textarea', { rows: '3', spellcheck: 'false', class: 'mono', placeholder: 'select hs_object_id, email from golden_persons' }), { help: 'One select. It is read once, now: to have newer records, send it again.' });
  const fromFile = h('div', file);
  const fromQuery = h('div', { class: 'fields', hidden: true }, url, query);
  /** @type {'file' | 'query'} */
  let kind = 'file';
  const kinds = radios('From', 'from', [['file', 'A file'], ['query', 'A database query']], kind, value => {
    kind = value;
    fromFile.hidden = kind !== 'file';
    fromQuery.hidden = kind !== 'query';
  });
  const progress = h('progress', { max: 1, value: 0, 'aria-label': 'Upload' });
  const submit = button('', () => {}, { type: 'submit', class: 'primary' });
  const name = () => fill(submit, sets.some(set => set.entity_type === entity.control.value.trim()) ? 'Replace golden records' : 'Upload golden records');
  entity.control.addEventListener('input', name);
  name();
  return section('Upload', h('form', {
    class: 'fields', novalidate: true,
    onsubmit: async event => {
      event.preventDefault();
      /** @type {[Field, string][]} */
      const wanted = [[entity, 'Say what the records are, such as person.'], [file, 'Choose a file.'], [url, 'Say where the database is.'], [query, 'Enter a query.']];
      const missing = wanted.filter(([each]) => each === entity || (each === file) === (kind === 'file'))
        .filter(([each, message]) => {
          const lacks = !each.control.value.trim();
          each.fail(lacks ? message : '');
          return lacks;
        });
      if (missing.length) return missing[0][0].control.focus();
      const at = { entity_type: entity.control.value.trim() };
      const set = await during(submit, where, async () => {
        if (kind === 'query') {
          where.show(h('p', { class: 'busy-text' }, 'Reading the query…'));
          return put('/golden/{entity_type}', { at, body: { database_url: url.control.value, query: query.control.value }, signal });
        }
        const chosen = file.control.files?.[0];
        if (!chosen) return null;
        const headers = headersOf(chosen.name);
        if (!headers) {
          file.fail(`${chosen.name} is not a .csv, .jsonl, .ndjson or .parquet file.`);
          file.control.focus();
          return null;
        }
        where.show(h('p', `Uploading ${chosen.name} (${bytes(chosen.size)})`), progress);
        return upload('/golden/{entity_type}', at, chosen, headers, { signal, progress: share => (progress.value = share) });
      });
      if (!set) return undefined;
      const said = `${count(set.records, 'golden record')} of ${set.entity_type} stored`;
      go('#/golden');
      // The view is drawn anew, with the set in its table.
      return setTimeout(() => announce(said), 500);
    },
  }, entity, list, kinds, fromFile, fromQuery,
  notice('quiet', null, h('p', 'The records are checked first. If a line is wrong, nothing is replaced. Provider ids must be as the CRM issued them: ', code('492564112121'), ', not ', code('4.92564112121e11'), '.')),
  where, h('div', { class: 'actions' }, submit)));
}

/**
 * The headers that say what is in a file of this name, or null.
 *
 * @returns {Record<string, string> | null}
 */
function headersOf(/** @type {string} */ name) {
  const [pattern, encoding] = PACKED.find(([pattern]) => pattern.test(name)) ?? [];
  const type = TYPES.find(([ending]) => ending.test(pattern ? name.replace(pattern, '') : name))?.[1];
  if (!type) return null;
  return encoding ? { 'content-type': type, 'content-encoding': encoding } : { 'content-type': type };
}

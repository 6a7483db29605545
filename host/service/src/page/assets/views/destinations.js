// The org's destinations.

/** @import { Visit } from '../../types/dom' */

import { all } from '../api.js';
import { h } from '../dom.js';
import { code, empty, heading, link, table, time } from '../parts.js';
import { can } from '../session.js';

export async function view(/** @type {Visit} */ { signal }) {
  const [destinations, sources] = await Promise.all([all('/destinations', { signal }), all('/sources', { signal })]);
  const names = new Map(sources.map(source => [source.id, source.name]));
  const create = can('admin') && link('New destination', '#/destinations/new', { class: 'button primary' });
  return h('div',
    heading('Destinations', { intro: 'Reverse targets in a CRM. Each reuses the credential of a source.', actions: destinations.length > 0 && create }),
    destinations.length ? table('Destinations', [
      { label: 'Name', header: true, cell: item => link(item.name, `#/destinations/${encodeURIComponent(item.id)}`) },
      { label: 'Type', cell: item => code(item.destination_type) },
      { label: 'Entity type', cell: item => item.entity_type },
      { label: 'Object', cell: item => String(item.config_json.object ?? 'default') },
      { label: 'Source', cell: item => names.get(String(item.config_json.source_id)) ?? code(String(item.config_json.source_id)) },
      { label: 'Changed', cell: item => time(item.updated_at) },
    ], destinations) : empty('There is no destination yet.',
      sources.length === 0
        ? h('p', 'It needs a source first, the CRM account whose credential it reuses. ', can('admin') ? link('Connect a source', '#/sources/new') : 'An admin of the org connects one.')
        : h('p', create || 'An admin of the org can make one.')));
}

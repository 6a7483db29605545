// Making or changing a destination. Its `config_json` is drawn from the destination type's JSON Schema.

import { all, get, patch, path, post } from '../api.js';
import { fill, h, newId } from '../dom.js';
import { button, code, during, field, heading, link, notice, options, problem, slot } from '../parts.js';
import { schemaForm } from '../schema-form.js';
import { DUPLICATES } from '../words.js';
import { PROVIDERS } from './sources.js';

// The host's own guards, SPEC's words; their limits are a destination's.
const percent = (limit, description) => ({ type: 'number', minimum: 0, maximum: 100, default: limit, description });
const GUARDS = {
  type: 'object',
  properties: {
    max_changes: { type: 'integer', minimum: 0, default: 100000, description: 'Most records that a plan updates.' },
    max_changed_percent: percent(50, 'Largest share of the records read that differs from the CRM.'),
    max_emptied_percent: percent(50, "Largest share of a field's changes that leaves a filled field empty."),
    max_same_value_percent: percent(90, "Largest share of a field's changes that writes one and the same value over different ones."),
    max_lossy_percent: percent(1, "Largest share of a field's changes that cuts a value off or takes its format away."),
  },
};
// SPEC.md section 2 names these; everything else is tucked away.
const FIRST = ['object', 'fields', 'compare'];

export async function view({ params: [id], signal, go }) {
  const [types, sources, golden, destination] = await Promise.all([
    all('/destination-types', { signal }), all('/sources', { signal }), all('/golden', { signal }), id ? get(path`/destinations/${id}`, { signal }) : null,
  ]);
  const where = slot();
  const name = field('Name', h('input', { type: 'text', autocomplete: 'off', value: destination?.name ?? '', placeholder: 'HubSpot reverse', 'aria-required': 'true' }));
  const entityTypes = datalist(golden.map(set => set.entity_type));
  const entity = field('Entity type', h('input', {
    type: 'text', autocomplete: 'off', spellcheck: 'false', list: entityTypes.id, 'aria-required': 'true', onchange: () => drawColumns(),
    value: destination?.entity_type ?? (golden.length === 1 ? golden[0].entity_type : ''), placeholder: 'person',
  }), { help: 'Which golden records are pushed.' });
  const duplicates = field('When several golden records claim one CRM record, write', h('select',
    options(Object.entries(DUPLICATES), destination?.on_duplicate_id ?? 'skip')), { help: 'It means that resolution went wrong. Left as it is, none of them is written.' });
  const type = field('Destination type', h('select', { onchange: () => drawConfig({}) },
    options(types.map(each => [each.name, `${PROVIDERS[each.provider] ?? each.provider} (${each.name})`]), destination?.destination_type)), { help: 'The CRM that is written to.' });

  const columns = datalist([]);
  const drawColumns = () => fill(columns, (golden.find(set => set.entity_type === entity.control.value.trim())?.columns ?? []).map(column => h('option', { value: column })));
  drawColumns();
  const chosenType = () => types.find(each => each.name === type.control.value) ?? types[0];
  const place = h('div');
  const rights = h('p', { class: 'help' });
  let config;
  const drawConfig = values => {
    const chosen = chosenType();
    const fitting = sources.filter(source => source.provider === chosen.provider);
    config = schemaForm(chosen.config_schema, values, {
      pointer: '/config_json', first: FIRST,
      choices: { source_id: () => fitting.map(source => [source.id, `${source.name} (${source.id})`]) },
      suggestions: Object.fromEntries(['provider_id_field', 'fields', 'fill_only', 'confidence_field'].map(key => [key, columns.id])),
    });
    fill(rights, chosen.title && `${chosen.title.replace(/\.$/, '')}. `, "Its source's credential needs ", chosen.required_rights, '.');
    fill(place, fitting.length === 0 && notice('warn', `There is no source of ${PROVIDERS[chosen.provider] ?? chosen.provider} yet`, h('p', link('Connect one', '#/sources/new'), ' first: a destination reuses its credential.')), config.element);
  };
  drawConfig(destination?.config_json ?? {});
  const guards = schemaForm(GUARDS, destination ? onlyChanged(destination.guards) : {}, { pointer: '/guards', first: [] });

  const collect = () => ({
    name: name.control.value.trim(), destination_type: chosenType().name, entity_type: entity.control.value.trim(), config_json: config.value(),
    on_duplicate_id: duplicates.control.value, guards: { ...(destination?.guards ?? {}), ...guards.value() },
  });
  const own = { '/name': name, '/entity_type': entity, '/destination_type': type, '/on_duplicate_id': duplicates };
  const preview = h('pre', { class: 'json', tabindex: '0', 'aria-label': 'The destination as JSON' });
  const submit = button(destination ? 'Save' : 'Create destination', () => {}, { type: 'submit', class: 'primary' });

  const form = h('form', {
    class: 'form', novalidate: true, oninput: () => where.clear(),
    onsubmit: async event => {
      event.preventDefault();
      Object.values(own).forEach(each => each.fail(''));
      config.clear();
      guards.clear();
      const body = collect();
      const saved = await during(submit, where, async () => {
        try {
          return destination ? await patch(path`/destinations/${id}`, without(body, 'destination_type', body.destination_type === destination.destination_type)) : await post('/destinations', body);
        } catch (error) {
          if (!error.pointer || !showAt(error)) throw error;
          where.show(problem(error));
          return null;
        }
      });
      if (saved) go(`#/destinations/${encodeURIComponent(saved.id)}`);
    },
  },
  h('section', { class: 'panel' }, h('h2', 'Destination'), name, h('div', { class: 'fields two' }, type, entity), rights),
  h('section', { class: 'panel' }, h('h2', 'Configuration ', code('config_json')), place),
  h('section', { class: 'panel' }, h('h2', 'Safety'), duplicates,
    h('p', { class: 'help' }, 'Guards hold a plan back until somebody overrides them by name. At 100 percent, a guard never trips.'), guards.element),
  columns, entityTypes,
  h('details', { class: 'panel', ontoggle: event => event.currentTarget.open && fill(preview, JSON.stringify(collect(), null, 2)) }, h('summary', 'As JSON'),
    preview, button('Refresh', () => fill(preview, JSON.stringify(collect(), null, 2)), { class: 'small' })),
  where, h('div', { class: 'actions' }, submit, link('Cancel', destination ? `#/destinations/${encodeURIComponent(id)}` : '#/destinations', { class: 'button quiet' })));

  function showAt(error) {
    const mine = Object.entries(own).find(([pointer]) => error.pointer === pointer)?.[1];
    if (mine) {
      mine.fail(error.message);
      mine.control.focus();
      return true;
    }
    for (const part of [config, guards]) {
      if (part.fail(error.pointer, error.message)) return part.focusFirstError();
    }
    return false;
  }

  return h('div', heading(destination ? `Edit ${destination.name}` : 'New destination', { crumb: link('Destinations', '#/destinations') }), form);
}

function datalist(values) {
  return h('datalist', { id: newId('list') }, values.map(value => h('option', { value })));
}

const onlyChanged = values => Object.fromEntries(Object.entries(values ?? {}).filter(([key, value]) => GUARDS.properties[key]?.default !== value));

function without(body, key, really) {
  const rest = { ...body };
  if (really) delete rest[key];
  return rest;
}

// Making or changing a destination. Its settings are drawn from the destination type's JSON Schema, apart from the mapping.

/** @import { Destination } from '../../types/api' */
/** @import { Schema, Values } from '../schema-form.js' */
/** @import { Field, Visit } from '../../types/dom' */

import { Problem, all, get, patch, post } from '../api.js';
import { fill, h, newId } from '../dom.js';
import { idColumn, knownFields } from '../known-fields.js';
import { mappingEditor } from '../mapping.js';
import { button, during, field, heading, link, notice, options, problem, slot } from '../parts.js';
import { schemaForm } from '../schema-form.js';
import { DUPLICATES, label, worded } from '../words.js';
import { PROVIDERS } from './sources.js';

// The host's own guards, SPEC's words; their limits are a destination's.
/** @returns {Schema} */
const percent = (/** @type {number} */ limit, /** @type {string} */ description) => ({ type: 'number', minimum: 0, maximum: 100, default: limit, description });
/** @type {Record<string, Schema>} */
const LIMITS = {
  max_changes: { type: 'integer', minimum: 0, default: 100000, description: 'Most records that a plan updates.' },
  max_changed_percent: percent(50, 'Largest share of the records read that differs from the CRM.'),
  max_emptied_percent: percent(50, "Largest share of a field's changes that leaves a filled field empty."),
  max_same_value_percent: percent(90, "Largest share of a field's changes that writes one and the same value over different ones."),
  max_lossy_percent: percent(1, "Largest share of a field's changes that cuts a value off or takes its format away."),
};
// What everybody decides; everything else is tucked away, in groups.
const FIRST = ['source_id', 'object', 'provider_id_field', 'fields', 'compare'];
/** @type {import('../schema-form.js').Group[]} */
export const GROUPS = [
  { title: 'Values', what: "How golden values become the CRM's.", keys: ['value_map', 'null_policy', 'null_values', 'time_zone'] },
  { title: 'Care', what: 'What is left alone: filled fields, records that changed or were merged.', keys: ['fill_only', 'on_drift', 'on_merged'] },
  { title: 'Confidence', what: 'Records of which the resolver was not sure.', keys: ['confidence_field', 'min_confidence'] },
  { title: 'Requests', what: 'How they are sent. The defaults fit nearly always.', keys: ['write_mode', 'bulk_above', 'in_flight', 'api_version', 'objects_path', 'properties_path'] },
];
/** Plans that are looked through for what the CRM said of its fields. */
export const PLANS_READ = 100;

export async function view(/** @type {Visit} */ { params: [id], signal, go }) {
  const [types, sources, golden, destinations, plans, destination] = await Promise.all([
    all('/destination-types', { signal }), all('/sources', { signal }), all('/golden', { signal }), all('/destinations', { signal }),
    get('/plans', { signal, query: { limit: PLANS_READ } }).then(page => page.items), id ? get('/destinations/{destination_id}', { at: { destination_id: id }, signal }) : null,
  ]);
  const where = slot();
  const name = field('Name', h('input', { type: 'text', autocomplete: 'off', value: destination?.name ?? '', placeholder: 'HubSpot reverse', 'aria-required': 'true' }));
  const entityTypes = datalist(golden.map(set => set.entity_type));
  /** @type {Field<HTMLInputElement>} */
  const entity = field('Entity type', h('input', {
    type: 'text', autocomplete: 'off', spellcheck: 'false', list: entityTypes.id, 'aria-required': 'true', oninput: () => drawColumns(),
    value: destination?.entity_type ?? (golden.length === 1 ? golden[0].entity_type : ''), placeholder: 'person',
  }), { help: 'Which golden records are pushed.' });
  const duplicates = field('When several golden records claim one CRM record, write', h('select',
    options(Object.entries(DUPLICATES), destination?.on_duplicate_id ?? 'skip')), { help: 'It means that resolution went wrong. Left as it is, none of them is written.' });
  const type = field('Destination type', h('select', { onchange: () => {
    drawConfig({});
    drawColumns();
  } },
    options(types.map(each => [each.name, `${PROVIDERS[each.provider] ?? each.provider} (${each.name})`]), destination?.destination_type)), { help: 'The CRM that is written to.' });

  /** @type {ReturnType<typeof schemaForm> | undefined} */
  let config;
  const columns = datalist([]);
  // Names of the CRM's fields, where those of columns would be another thing.
  const written = datalist([]);
  const columnsNow = () => golden.find(set => set.entity_type === entity.control.value.trim())?.columns ?? [];
  const drawColumns = () => {
    fill(columns, optionsOf(columnsNow()));
    const id = controlOf('provider_id_field');
    if (!destination && id && !id.value) {
      id.value = idColumn(chosenType().provider, columnsNow()) ?? '';
      if (id.value) id.dispatchEvent(new Event('input', { bubbles: true }));
    }
    mapping?.draw();
  };
  /** @returns {HTMLInputElement | HTMLSelectElement | null} */
  const controlOf = (/** @type {string} */ key) => place.querySelector(`[data-key="${key}"]`);
  /** What is entered now for a key whose editor is a single control. */
  const entered = (/** @type {string} */ key) => controlOf(key)?.value.trim() || undefined;
  const factsNow = () => {
    const chosen = chosenType();
    return {
      columns: columnsNow(), id: entered('provider_id_field'), crm: PROVIDERS[chosen.provider] ?? chosen.provider,
      known: knownFields(chosen.provider, entered('object') ?? chosen.default_object ?? '', entered('source_id'), destinations, plans),
    };
  };
  const drawWritten = () => fill(written, optionsOf(fieldsWritten(config?.value() ?? {}, columnsNow())));
  const chosenType = () => types.find(each => each.name === type.control.value) ?? types[0];
  const place = h('div');
  const rights = h('p', { class: 'help' });
  /** @type {ReturnType<typeof mappingEditor> | undefined} */
  let mapping;
  const drawConfig = (/** @type {Values} */ values) => {
    const chosen = chosenType();
    const fitting = sources.filter(source => source.provider === chosen.provider);
    config = undefined;
    mapping = mappingEditor(values.fields, !destination, factsNow);
    config = schemaForm(described(chosen.config_schema), values, {
      pointer: '/config_json', first: FIRST, groups: GROUPS, editors: { fields: mapping },
      choices: { source_id: () => fitting.map(source => [source.id, source.name]) },
      suggestions: {
        ...Object.fromEntries(['provider_id_field', 'confidence_field'].map(key => [key, columns.id])),
        ...Object.fromEntries(['fill_only', 'value_map', 'null_policy'].map(key => [key, written.id])),
      },
    });
    fill(rights, chosen.title && `${chosen.title.replace(/\.$/, '')}. `, "Its source's credential needs ", chosen.required_rights, '.');
    fill(place, fitting.length === 0 && notice('warn', `There is no source of ${PROVIDERS[chosen.provider] ?? chosen.provider} yet`, h('p', link('Connect one', '#/sources/new'), ' first: a destination reuses its credential.')), config.element);
  };
  // The only source that there is, is meant.
  const fitting = sources.filter(source => source.provider === chosenType().provider);
  drawConfig(destination?.config_json ?? (fitting.length === 1 ? { source_id: fitting[0].id } : {}));
  drawColumns();
  const guards = schemaForm({ type: 'object', properties: LIMITS }, destination ? onlyChanged(destination.guards) : {}, { pointer: '/guards' });

  const collect = () => ({
    name: name.control.value.trim(), destination_type: chosenType().name, entity_type: entity.control.value.trim(), config_json: config?.value() ?? {},
    on_duplicate_id: /** @type {Destination['on_duplicate_id']} */ (duplicates.control.value), guards: { ...(destination?.guards ?? {}), ...guards.value() },
  });
  /** @type {Record<string, Field>} */
  const own = { '/name': name, '/entity_type': entity, '/destination_type': type, '/on_duplicate_id': duplicates };
  const preview = h('pre', { class: 'json', tabindex: '0', 'aria-label': 'The destination as JSON' });
  const submit = button(destination ? 'Save' : 'Create destination', () => {}, { type: 'submit', class: 'primary' });

  const form = h('form', {
    class: 'form', novalidate: true, oninput: () => where.clear(), onfocusin: drawWritten,
    onchange: event => event.target instanceof HTMLElement && ['provider_id_field', 'object', 'source_id'].includes(event.target.dataset.key ?? '') && mapping?.draw(),
    onsubmit: async event => {
      event.preventDefault();
      Object.values(own).forEach(each => each.fail(''));
      config?.clear();
      guards.clear();
      if (lacks()) return;
      const body = collect();
      const saved = await during(submit, where, async () => {
        try {
          if (!destination) return await post('/destinations', { body });
          const { destination_type: changed, ...rest } = body;
          return await patch('/destinations/{destination_id}', { at: { destination_id: id }, body: changed === destination.destination_type ? rest : body });
        } catch (error) {
          if (!(error instanceof Problem) || !showAt(error)) throw error;
          where.show(problem(error));
          return null;
        }
      });
      if (saved) go(`#/destinations/${encodeURIComponent(saved.id)}`);
    },
  },
  h('section', { class: 'panel' }, h('h2', 'Destination'), name, h('div', { class: 'fields two' }, type, entity), rights),
  h('section', { class: 'panel' }, h('h2', 'What is written where'), place),
  h('section', { class: 'panel' }, h('h2', 'Safety'), duplicates,
    h('p', { class: 'help' }, 'Guards hold a plan back until somebody overrides them by name. At 100 percent, a guard never trips.'), guards.element),
  columns, written, entityTypes,
  h('details', { class: 'panel', ontoggle: event => event.currentTarget.open && fill(preview, JSON.stringify(collect(), null, 2)) }, h('summary', 'As JSON'),
    preview, button('Refresh', () => fill(preview, JSON.stringify(collect(), null, 2)), { class: 'small' })),
  where, h('div', { class: 'actions' }, submit, link('Cancel', destination ? `#/destinations/${encodeURIComponent(id)}` : '#/destinations', { class: 'button quiet' })));

  /** Shows what is wrong where it is wrong. Answers whether there is such a place. */
  function showAt(/** @type {Problem} */ { pointer, message }) {
    if (!pointer) return false;
    const mine = own[pointer];
    if (mine) {
      mine.fail(worded(message));
      mine.control.focus();
      return true;
    }
    for (const part of [config, guards]) {
      if (part?.fail(pointer, worded(message))) return part.focusFirstError();
    }
    return false;
  }

  /** Marks all that is required and missing, and goes to the first of it. Answers whether there is something. */
  function lacks() {
    const empty = [name, entity].filter(each => !each.control.value.trim());
    for (const each of empty) each.fail(`${label(each === name ? 'name' : 'entity_type')} is required.`);
    const more = config?.requireAll() ?? false;
    const none = !more && Array.isArray(config?.value().fields) && mapping?.value()?.length === 0;
    if (none) config?.fail('/config_json/fields', 'Give at least one column a field, or nothing would be written.');
    if (empty.length) empty[0].control.focus();
    else if (more || none) config?.focusFirstError();
    return empty.length > 0 || more || none;
  }

  return h('div', heading(destination ? `Edit ${destination.name}` : 'New destination', { crumb: link('Destinations', '#/destinations') }), form);
}

/** The schema with the words of this form. */
function described(/** @type {Schema} */ schema) {
  const properties = { ...schema.properties };
  /** @type {Record<string, string>} */
  const words = {
    source_id: 'The CRM account whose stored credential is used.', fields: 'Which golden column is written to which field. What has no field is left alone.',
    compare: 'Plans read the records first: only what differs is written, and a run can be undone. Recommended.',
  };
  for (const [key, description] of Object.entries(words)) if (properties[key]) properties[key] = { ...properties[key], description };
  return { ...schema, properties };
}

const optionsOf = (/** @type {string[]} */ values) => values.map(value => h('option', { value }));

function datalist(/** @type {string[]} */ values) {
  return h('datalist', { id: newId('list') }, optionsOf(values));
}

/**
 * The CRM's names of what would be written, as far as the configuration says them: the columns are called like the fields where it does not.
 *
 * @param {Values} config
 * @param {string[]} columns
 * @returns {string[]}
 */
function fieldsWritten({ fields, provider_id_field: id }, columns) {
  if (Array.isArray(fields)) return fields;
  if (fields && typeof fields === 'object') return Object.values(fields).map(String).filter(Boolean);
  return columns.filter(column => column !== id && !column.startsWith('__'));
}

const onlyChanged = (/** @type {Values} */ values) => Object.fromEntries(Object.entries(values).filter(([key, value]) => LIMITS[key]?.default !== value));

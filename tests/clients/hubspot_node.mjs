// @hubspot/api-client for Node.js: does one step against the simulator, and prints what the client made of it.
//
//   node hubspot_node.mjs STEP BASE_URL ARGUMENT...
//
// Prints an object: `value`, what the client returned, and `findings`, where an answer does not fit the client's types. The steps and what they
// print are those of hubspot_python.py.

import { Client } from '@hubspot/api-client';
import { findings, httpLibrary } from './typed.mjs';

const [step, basePath, ...args] = process.argv.slice(2);
const found = new Set();
let raw;

// Each body is kept as it came, before the client reads it. (Its own middleware would be the place; 13.5.0 calls none.)
for (const area of ['contacts', 'properties']) {
  const { prototype } = httpLibrary(area);
  const { send } = prototype;
  prototype.send = function sendAndKeep(request) {
    return send.call(this, request).pipe(async (context) => {
      const text = await context.body.text();
      raw = { status: context.httpStatusCode, body: text && JSON.parse(text) };
      context.body.text = async () => text;
      return context;
    });
  };
}

// Tries once, unless told otherwise; with no number at all it does not send anything.
function client(accessToken = 'test-token', numberOfApiCallRetries = 1) {
  return new Client({ accessToken, basePath, numberOfApiCallRetries }).crm;
}

/** What the client returned, after its answer was validated against the types. */
function checked(area, type, returned) {
  findings(area, type, raw.body).forEach((finding) => found.add(`${type} ${finding}`));
  return returned;
}

function shown(record) {
  return {
    id: record.id,
    properties: record.properties,
    created_at: record.createdAt.toISOString(),
    updated_at: record.updatedAt.toISOString(),
    archived: record.archived,
  };
}

function batch(answer) {
  checked('contacts', `BatchResponseSimplePublicObject${raw.status === 207 ? 'WithErrors' : ''}`, answer);
  return {
    http_status: raw.status,
    status: answer.status,
    results: answer.results.map(shown),
    errors: (answer.errors ?? []).map(({ category, context, message }) => ({ category, context, message })),
    num_errors: answer.numErrors ?? null,
  };
}

/** The exception, its status and its body, which is validated against the type of errors. */
async function error(call) {
  try {
    await call();
    return null;
  } catch (exception) {
    // HubSpot's bodies say "status", which its type of errors does not have.
    const { status, ...body } = raw.body;
    findings('contacts', 'ModelError', body).forEach((finding) => found.add(`Error ${finding}`.replace('ModelError', 'Error')));
    return {
      class: exception.constructor.name,
      status: exception.code,
      category: body.category ?? null,
      policy: body.policyName ?? null,
      message: exception.body.message,
    };
  }
}

const steps = {
  async read(contact) {
    const record = await client().contacts.basicApi.getById(contact, ['firstname', 'city', 'jobtitle'], ['city']);
    checked('contacts', 'SimplePublicObjectWithAssociations', record);
    return { ...shown(record), history: record.propertiesWithHistory.city.map((entry) => entry.value) };
  },
  async all_records() {
    return (await client().contacts.getAll(undefined, undefined, ['email'])).map(shown);
  },
  async page() {
    const type = 'CollectionResponseSimplePublicObjectWithAssociationsForwardPaging';
    const api = client().contacts.basicApi;
    const answer = checked('contacts', type, await api.getPage(2, undefined, ['firstname', 'email']));
    const rest = checked('contacts', type, await api.getPage(100, answer.paging.next.after));
    return { first: answer.results.map(shown), rest: rest.results.length, ends: rest.paging === undefined };
  },
  async search(city) {
    const api = client().contacts.searchApi;
    const results = [];
    for (let after; ; ) {
      const answer = await api.doSearch({
        filterGroups: [{ filters: [{ propertyName: 'city', operator: 'EQ', value: city }] }],
        sorts: [{ propertyName: 'email', direction: 'DESCENDING' }],
        properties: ['email', 'city'],
        limit: 5,
        after,
      });
      checked('contacts', 'CollectionResponseWithTotalSimplePublicObjectForwardPaging', answer);
      results.push(...answer.results);
      if (!answer.paging) return { total: answer.total, results: results.map(shown) };
      after = answer.paging.next.after;
    }
  },
  async update(contact) {
    const record = await client().contacts.basicApi.update(contact, { properties: { jobtitle: 'Director', city: '' } });
    return shown(checked('contacts', 'SimplePublicObject', record));
  },
  async batch_read(...ids) {
    const inputs = ids.map((id) => ({ id }));
    return batch(await client().contacts.batchApi.read({ inputs, properties: ['email'], propertiesWithHistory: [] }));
  },
  async batch_update(...ids) {
    const inputs = ids.map((id, n) => ({ id, properties: { jobtitle: `Director ${n}` } }));
    return batch(await client().contacts.batchApi.update({ inputs }));
  },
  async definitions() {
    const { coreApi, batchApi } = client().properties;
    const answer = checked('properties', 'CollectionResponsePropertyNoPaging', await coreApi.getAll('contacts'));
    const one = checked('properties', 'Property', await coreApi.getByName('contacts', 'lifecyclestage'));
    const some = checked('properties', 'BatchResponseProperty', await batchApi.read('contacts', { inputs: [{ name: 'city' }], archived: false }));
    return {
      names: answer.results.map(({ name }) => name),
      read_only: answer.results.filter((definition) => definition.modificationMetadata?.readOnlyValue).map(({ name }) => name),
      options: one.options.map(({ value }) => value),
      some: some.results.map(({ name }) => name),
    };
  },
  no_such_token: (contact) => error(() => client("nobody's").contacts.basicApi.getById(contact)),
  read_error: (contact) => error(() => client().contacts.basicApi.getById(contact)),
  update_error: (contact) => error(() => client().contacts.basicApi.update(contact, { properties: { jobtitel: 'Director' } })),
  search_error: () =>
    error(() => client().contacts.searchApi.doSearch({ filterGroups: [{ filters: [{ propertyName: 'city', operator: 'EQ' }] }] })),
  // The client repeats what it takes for the limit of searches, by the words of the answer.
  async throttled_search() {
    return (await client('test-token', 2).contacts.searchApi.doSearch({ filterGroups: [], limit: 1 })).total;
  },
};

const value = await steps[step](...args);
console.log(JSON.stringify({ value, findings: [...found].sort() }));

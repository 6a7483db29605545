// The types of what the API takes and answers, from its own description.
//
//   node describe.mjs --url http://127.0.0.1:8080 --out description.d.ts
//
// Only what the page can make use of: no words, which change without changing a type, and no answers but the good ones.

import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import openapiTS, { astToString } from 'openapi-typescript';

const { values: given } = parseArgs({ options: { url: { type: 'string' }, out: { type: 'string' } } });
const description = await (await fetch(`${given.url}/openapi.json`)).json();

const NAMED = ['properties', 'schemas', 'paths'];
const WORDS = ['description', 'summary', 'example', 'examples'];

/** Without words. The keys of what is `named` are names, whatever they look like. */
function bare(value, named) {
  if (Array.isArray(value)) return value.map(each => bare(each, false));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => named || !WORDS.includes(key)).map(([key, inner]) => [key, bare(inner, NAMED.includes(key))]));
}

const reduced = bare(description, false);
for (const route of Object.values(reduced.paths)) {
  for (const operation of Object.values(route)) {
    operation.responses = Object.fromEntries(Object.entries(operation.responses).filter(([status]) => status.startsWith('2')).map(([status, answer]) => [status, { description: '', ...answer }]));
  }
}
const types = astToString(await openapiTS(reduced, { emptyObjectsUnknown: true, alphabetize: true }));
await writeFile(given.out, `// Made by tests/page/describe.mjs from the API's description; a test compares it with the service.\n\n${types}`);

// Holds an answer of HubSpot against the types of its own client, which are generated from its OpenAPI documents.
//
// What a member is called and which type it has is in the client's type maps; whether it may be left out is in its declarations only.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const codegen = join(dirname(require.resolve('@hubspot/api-client/package.json')), 'lib/codegen/crm');

/** What the client sends with. */
export function httpLibrary(area) {
  return require(join(codegen, area, 'http/isomorphic-fetch.js')).IsomorphicFetchHttpLibrary;
}

/** What does not fit, as texts; `area` is `contacts` or `properties`, `type` is written as in the client's type maps. */
export function findings(area, type, value, place = '$') {
  const list = /^Array<(.*)>$/.exec(type);
  if (list) {
    if (!Array.isArray(value)) return [`${place}: no list`];
    return value.flatMap((item, n) => findings(area, list[1], item, `${place}[${n}]`));
  }
  const map = /^\{ \[key: string\]: (.*); \}$/.exec(type);
  if (map) {
    if (!isObject(value)) return [`${place}: no object`];
    return Object.entries(value).flatMap(([name, item]) => findings(area, map[1], item, `${place}.${name}`));
  }
  if (type.endsWith(' | null')) return value === null ? [] : findings(area, type.slice(0, -' | null'.length), value, place);
  if (type === 'any') return [];
  if (type === 'Date') return isTime(value) ? [] : [`${place}: no time`];
  if (['string', 'number', 'boolean'].includes(type)) return typeof value === type ? [] : [`${place}: no ${type}`];
  return members(area, type, value, place);
}

function members(area, type, value, place) {
  const model = require(join(codegen, area, 'models', `${type}.js`))[type];
  // A type of its own is an object; an enumeration has no map.
  if (!model.getAttributeTypeMap) return Object.values(model).includes(value) ? [] : [`${place}: not among the values of ${type}`];
  if (!isObject(value)) return [`${place}: no ${type}`];
  const declared = readFileSync(join(codegen, area, 'models', `${type}.d.ts`), 'utf8');
  const known = model.getAttributeTypeMap();
  const unknown = Object.keys(value).filter((name) => !known.some((attribute) => attribute.baseName === name));
  const found = unknown.map((name) => `${place}.${name}: ${type} has no such member`);
  for (const attribute of known) {
    const name = attribute.baseName;
    if (name in value) {
      found.push(...enumerated(area, type, attribute, value[name], place));
    } else if (declared.includes(`'${attribute.name}': `)) {
      found.push(`${place}.${name}: ${type} demands it`);
    }
  }
  return found;
}

// Enumerations are called after their type and member, and are in the file of the type.
function enumerated(area, type, attribute, value, place) {
  const values = require(join(codegen, area, 'models', `${type}.js`))[attribute.type];
  const at = `${place}.${attribute.baseName}`;
  if (values && !values.getAttributeTypeMap) {
    return Object.values(values).includes(value) ? [] : [`${at}: not among the values of ${type}`];
  }
  return findings(area, attribute.type, value, at);
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTime(value) {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value) && !Number.isNaN(Date.parse(value));
}

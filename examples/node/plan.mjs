// Plans golden records of a CSV file, offline, and prints the plan as JSON:
//
//   node plan.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON

import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { Plugin } from './host.mjs';

const [file, records, config] = process.argv.slice(2);
if (!config) {
  console.error('usage: node plan.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON');
  process.exit(2);
}
const plugin = await Plugin.load(file);
const target = {
  destinationType: 'hubspot_dest',
  entityType: 'person',
  config: JSON.parse(config),
  baseUrl: 'https://api.hubapi.com',
};
// An empty cell is a null.
const golden = parse(await readFile(records), { columns: true, bom: true, cast: (cell, { header }) => (header || cell !== '' ? cell : null) });
const plan = await plugin.plan(target, golden);
console.log(JSON.stringify({ plugin: plugin.digest, ...plan }, null, 2));

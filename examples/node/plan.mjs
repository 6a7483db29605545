// Plans golden records of a CSV file, offline, and prints the plan as JSON:
//
//   node plan.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON [BASE_URL]

import { Plugin } from './host.mjs';
import { golden, shown, target } from './input.mjs';

const [file, records, config, baseUrl = 'https://api.hubapi.com'] = process.argv.slice(2);
if (!config) {
  console.error('usage: node plan.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON [BASE_URL]');
  process.exit(2);
}
const plugin = await Plugin.load(file);
console.log(shown(await plugin.plan(target(config, baseUrl), await golden(records))));

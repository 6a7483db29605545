// Runs a plan that somebody has looked at, by its id, and prints what became of each change:
//
//   HUBSPOT_TOKEN=… node run.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON BASE_URL PLAN_ID

import { Plugin } from './host.mjs';
import { golden, target as targetOf } from './input.mjs';

const [file, records, config, baseUrl, planId] = process.argv.slice(2);
const token = process.env.HUBSPOT_TOKEN;
if (!planId || !token) {
  console.error('usage: HUBSPOT_TOKEN=… node run.mjs PLUGIN.wasm RECORDS.csv CONFIG_JSON BASE_URL PLAN_ID');
  process.exit(2);
}
const plugin = await Plugin.load(file);
const target = targetOf(config, baseUrl);
// The id is a digest of plugin, target and changes: if one of them has changed, this is another plan.
const plan = await plugin.plan(target, await golden(records));
if (plan.id !== planId) {
  console.error(`nothing was written: ${planId} was confirmed, and now it is ${plan.id}; look at it with plan.mjs`);
  process.exit(3);
}
const run = await plugin.run(target, plan, token);
console.log(JSON.stringify(run, null, 2));
process.exitCode = run.stopped || Object.keys(run.counts).some((status) => !['updated', 'unchanged'].includes(status)) ? 1 : 0;

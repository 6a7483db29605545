// Plans golden.csv in Node, by the component as npm has installed it.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { transpile } from '@bytecodealliance/jco-transpile';
import { streams } from './host.mjs';

const component = fileURLToPath(import.meta.resolve('reverse-sync-component/reverse_sync.wasm'));
const { files } = await transpile(component, {
  name: 'plugin',
  outDir: 'plugin',
  map: { 'reverse-sync:destination/*': '../host.mjs#*' },
});
for (const [path, bytes] of Object.entries(files)) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}
const { destination } = await import('./plugin/plugin.js');

const [head, ...lines] = readFileSync('golden.csv', 'utf8').trimEnd().split('\n');
const records = new streams.Records(head.split(','), lines.map((line) => line.split(',')));
const sink = new streams.PlanSink();
const config = { provider_id_field: 'hs_object_id', source_id: 'src_1', fields: ['firstname'] };
destination.plan(
  {
    destinationType: 'hubspot_dest',
    entityType: 'person',
    config: JSON.stringify(config),
    baseUrl: 'https://api.hubapi.com',
  },
  'offline',
  records,
  sink,
);
const [writable, skipped] = [sink.changes.length, sink.skipped];
console.log(JSON.stringify({ dry_run: true, total: writable + skipped, writable, skipped, sample: sink.changes }));

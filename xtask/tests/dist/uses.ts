// What a host writes against the package's types.
import type { destination, ReverseSyncDestinationStreams010, ReverseSyncDestinationTypes010 } from 'reverse-sync-component';

const column: ReverseSyncDestinationTypes010.Column = {
  name: 'firstname',
  values: { tag: 'text', val: { bytes: 'Brian', offsets: new Uint32Array([0, 5]) } },
};
export const batch: ReverseSyncDestinationTypes010.RecordBatch = { firstRow: 1n, length: 1, columns: [column] };

export function plan(
  plugin: typeof destination,
  records: ReverseSyncDestinationStreams010.Records,
  sink: ReverseSyncDestinationStreams010.PlanSink,
): void {
  const [first] = plugin.describe().destinations;
  const target = { destinationType: first!.name, entityType: 'person', config: '{}', baseUrl: 'https://api.hubapi.com' };
  plugin.plan(target, 'offline', records, sink);
}

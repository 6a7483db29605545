// What both programs are given.

import { readFile } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';

/** Golden records of a CSV file; an empty cell is a null. */
export async function golden(file) {
  const cast = (cell, { header }) => (header || cell !== '' ? cell : null);
  return parse(await readFile(file), { columns: true, bom: true, cast });
}

export function target(config, baseUrl) {
  return { destinationType: 'hubspot_dest', entityType: 'person', config: JSON.parse(config), baseUrl };
}

/** A plan as people read it. */
export function shown({ joined, ...plan }) {
  const changes = plan.changes.map((it) => ({ ...it, fields: JSON.parse(it.fields) }));
  return JSON.stringify({ ...plan, changes }, null, 2);
}

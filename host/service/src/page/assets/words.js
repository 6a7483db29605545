// The words for codes, the same as the command's.

/** @import { Destination, Outcome, PlanMode, Role, Run, RunStatus } from '../types/api' */

/** @type {Record<string, string>} */
const REASONS = {
  provider_id_missing: 'without a provider id column',
  provider_id_null: 'without a provider id (null)',
  provider_id_empty: 'with an empty provider id',
  provider_id_not_pristine: 'with a provider id that is not as the CRM issued it',
  no_writable_field: 'without a field to write',
  value_not_encodable: 'with a value that cannot be written',
  changed_since: 'changed in the CRM since that run',
  as_before: 'with the previous values already',
  gone: 'not in the CRM any more',
  unreadable: 'not readable in the CRM',
  unchanged: 'with these values already',
  merged: 'merged into another record in the CRM',
  deleted: 'deleted in the CRM',
  not_found: 'not in the CRM',
  duplicate_id: 'claiming a CRM record that another golden record claims too',
};

/** @type {Record<string, string>} */
const DROPPED = {
  provider_id: 'is the key',
  internal: 'is internal',
  read_only: 'is read-only in the CRM',
  unknown_field: "is not a field of the CRM's object",
  not_in_fields: 'is not in fields',
  not_in_records: 'is in fields, but the golden records do not have it; is it a typo?',
  needs_compare: 'moves forward only in the CRM, so it needs a plan that compares',
  unsupported_type: 'has a type that cannot be written',
};

/** @type {Record<string, string>} */
const GUARDS = {
  max_changes: 'Many records',
  max_changed_percent: 'Much differs from the CRM',
  max_emptied_percent: 'A field would be emptied',
  max_same_value_percent: 'Different values would become the same',
  max_lossy_percent: 'Values would be cut off or lose their format',
  email_taken: 'An e-mail address belongs to another record',
  low_confidence: 'The resolver was not sure',
  null_words: 'A word that may mean null would replace a value',
};

/** @type {Record<PlanMode, { name: string, short: string, what: string }>} */
export const MODES = {
  offline: { name: 'Offline', short: 'offline', what: 'Without a request to the CRM and without its credential. Fast; says what would be written, not what is there. Its run cannot be undone.' },
  online: { name: 'Online', short: "with the CRM's metadata", what: "Reads the CRM's metadata: read-only fields are dropped, labels become internal values, unknown values are refused. Its run cannot be undone." },
  compare: { name: 'Compare', short: "compared with the CRM's records", what: 'Also reads each record: only what differs is planned, with the previous values. Its run can be undone.' },
};

/** @type {Record<RunStatus, { name: string, tone: string, what: string }>} */
export const STATUS = {
  queued: { name: 'Queued', tone: 'quiet', what: 'Waits for its turn.' },
  waiting: { name: 'Waiting', tone: 'warn', what: 'A limit of the CRM is used up. The run resumes by itself when there is room again.' },
  running: { name: 'Running', tone: 'accent', what: 'Records are being updated.' },
  cancelling: { name: 'Cancelling', tone: 'warn', what: 'Stops after the requests in flight.' },
  succeeded: { name: 'Succeeded', tone: 'good', what: 'Every change is in the CRM.' },
  failed: { name: 'Failed', tone: 'bad', what: 'Ended; some records failed, drifted or are unknown.' },
  stopped: { name: 'Stopped', tone: 'warn', what: 'Ended early; what is pending was not sent.' },
  interrupted: { name: 'Interrupted', tone: 'warn', what: 'The server stopped in the middle. The run resumes by itself once the server is there again.' },
};

/** @type {Record<Outcome | 'skipped', { name: string, what: string }>} */
export const OUTCOMES = {
  updated: { name: 'updated', what: 'the CRM confirmed the update' },
  unchanged: { name: 'unchanged', what: 'held these values already' },
  failed: { name: 'failed', what: 'refused by the CRM, in its own words' },
  drifted: { name: 'drifted', what: 'changed in the CRM since the plan was made, so not written' },
  unknown: { name: 'unknown', what: 'sent, and no answer says whether it was applied' },
  pending: { name: 'pending', what: 'not sent yet' },
  skipped: { name: 'skipped', what: 'not part of the plan' },
};

/** What may have become of a change, in the order in which it is told. */
export const NAMES = /** @type {const} */ (['updated', 'unchanged', 'failed', 'drifted', 'unknown', 'pending']);

/** @type {Record<Destination['on_duplicate_id'], string>} */
export const DUPLICATES = { skip: 'none of them', first: 'the one with the lowest row number', last: 'the one with the highest row number' };

/** @type {Record<Role, string>} */
export const ROLES = {
  viewer: 'reads',
  operator: 'uploads golden records, plans, runs, cancels, resumes and undoes',
  admin: 'also manages sources, destinations and API keys',
};

export const reason = (/** @type {string} */ code) => REASONS[code] ?? code;
export const dropped = (/** @type {string} */ code) => DROPPED[code] ?? code;
export const guard = (/** @type {string} */ name) => GUARDS[name] ?? sentence(name);
/**
 * The counts of a run, or null where nobody knows them: its journal cannot be read.
 *
 * @returns {Record<Outcome, number> | null}
 */
export function countsOf(/** @type {Run} */ run) {
  const { updated, unchanged, failed, drifted, unknown, pending } = run;
  if (typeof updated !== 'number' || typeof unchanged !== 'number' || typeof failed !== 'number' || typeof drifted !== 'number' || typeof unknown !== 'number' || typeof pending !== 'number') return null;
  return { updated, unchanged, failed, drifted, unknown, pending };
}

export const isEnded = (/** @type {RunStatus} */ status) => ['succeeded', 'failed', 'stopped'].includes(status);

/** `max_changes` as `Max changes`. */
export const sentence = (/** @type {string} */ name) => capital(name.replaceAll('_', ' '));

/** A text with a capital at its start. */
export const capital = (/** @type {string} */ text) => text.charAt(0).toUpperCase() + text.slice(1);

const numbers = new Intl.NumberFormat('en');
export const number = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? '–' : numbers.format(value));

/** `1 record`, `2 records`. */
export const count = (/** @type {number} */ value, /** @type {string} */ one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** Between a figure and its unit: they stay on one line. */
const GAP = '\u00a0';

export function bytes(/** @type {number | null | undefined} */ value) {
  if (value === null || value === undefined) return '–';
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let unit = 0;
  let rest = value;
  while (rest >= 1000 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)}${GAP}${units[unit]}`;
}

export function duration(/** @type {string} */ from, /** @type {string | Date} */ to) {
  const seconds = Math.max(0, (new Date(to).getTime() - new Date(from).getTime()) / 1000);
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${GAP}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}${GAP}min ${Math.floor(seconds % 60)}${GAP}s` : `${Math.floor(minutes / 60)}${GAP}h ${minutes % 60}${GAP}min`;
}

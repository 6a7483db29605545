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
  compare: { name: 'Compare', short: "compared with the CRM's records", what: 'Reads each record: only what differs is planned, with values before and after. Its run can be undone.' },
  online: { name: 'Online', short: "with the CRM's metadata", what: "Reads the CRM's fields, not its records: unknown fields and values are found. Its run cannot be undone." },
  offline: { name: 'Offline', short: 'offline, not checked', what: 'Asks nobody: names and values are not checked against the CRM. Its run cannot be undone.' },
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

/**
 * How a run stands, for people. One that has ended and written most of it has not failed: it has problems.
 *
 * @param {Run} run
 */
export function standing(run) {
  const { status } = run;
  const problems = (run.failed ?? 0) + (run.drifted ?? 0) + (run.unknown ?? 0);
  const written = (run.updated ?? 0) + (run.unchanged ?? 0);
  if (status !== 'failed' || problems === 0 || written === 0) return STATUS[status];
  return { name: `Completed with ${count(problems, 'problem')}`, tone: 'warn', what: `Ended; ${count(problems, 'record')} of ${number(run.writable)} ${problems === 1 ? 'was' : 'were'} not written or ${problems === 1 ? 'is' : 'are'} in doubt.` };
}

/** The counts of a run in a line. */
export function countsInWords(/** @type {Run} */ run) {
  const counts = countsOf(run);
  if (!counts) return 'not known';
  return NAMES.filter(name => counts[name] > 0 || name === 'updated').map(name => `${number(counts[name])} ${name}`).join(', ');
}

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

/** Names of keys, where the key itself does not read well. The same in forms, in what is shown and in errors. */
/** @type {Record<string, string>} */
const LABELS = {
  source_id: 'Source', provider_id_field: 'Record id column', fields: 'Mapping', base_url: 'Address', ca_pem: 'Certificate authority', per_seconds: 'In seconds', entity_type: 'Entity type',
  access_token: 'Access token', client_id: 'Client id', client_secret: 'Client secret', refresh_token: 'Refresh token', private_key: 'Private key', token_url: 'Token endpoint', client_auth: 'Client authentication',
  config_json: 'Configuration', on_duplicate_id: 'Duplicate ids',
};
export const label = (/** @type {string} */ key) => LABELS[key] ?? sentence(key);

/** What the API says of a key, with the label that people see instead of the key. */
export const worded = (/** @type {string} */ text) => text.replaceAll(/`(?:config_json\.|credential\.oauth\.|credential\.|limit\.|guards\.)?([a-z][a-z_]*)`/g, (all, key) => (LABELS[key] || KEYS.has(key) ? `“${label(key)}”` : all));
const KEYS = new Set(['name', 'provider', 'account', 'credential', 'calls', 'object', 'destination_type', 'subject', 'audience', 'grant']);

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

/** How long a run was at work up to now. Pauses are not work. */
export const worked = (/** @type {Run} */ run) => duration(run.worked_ms + (run.working_since ? Math.max(0, Date.now() - new Date(run.working_since).getTime()) : 0));

export function duration(/** @type {number} */ ms) {
  const seconds = Math.max(0, ms / 1000);
  if (!Number.isFinite(seconds)) return '–';
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)}${GAP}s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes}${GAP}min ${Math.floor(seconds % 60)}${GAP}s` : `${Math.floor(minutes / 60)}${GAP}h ${minutes % 60}${GAP}min`;
}

// A run: live while it is running, and what became of each change.

/** @import { ChangeOutcome, Destination, Outcome, Run } from '../../types/api' */
/** @import { Attributes, Child, Slot, Visit } from '../../types/dom' */

import { all, get, isAbort, path, post } from '../api.js';
import { rateChart } from '../chart.js';
import { target } from '../confirm.js';
import { bar, sum } from '../counts.js';
import { announce, fill, h } from '../dom.js';
import { recordId } from '../links.js';
import { badge, button, code, copyable, during, facts, field, heading, link, longText, notice, options, paged, person, problem, prose, section, slot, statusBadge, table, time } from '../parts.js';
import { can } from '../session.js';
import { NAMES, OUTCOMES, bytes, capital, count, countsOf, duration, guard, isEnded, number, standing, worked } from '../words.js';
import { objectOf } from './destination.js';

const WITH_SKIPPED = /** @type {const} */ ([...NAMES, 'skipped']);
/** Somebody has to look at these: the worst first. */
const TO_LOOK_AT = /** @type {const} */ (['failed', 'unknown', 'drifted']);
/** Milliseconds between what is read out, and between questions where there is no stream. */
const SAID_EVERY = 5000;
const ASKED_EVERY = 2000;
const OUTCOMES_EVERY = 1000;

export async function view(/** @type {Visit} */ { params: [id], signal, go }) {
  /** @type {Run} */
  let run = await get('/runs/{run_id}', { at: { run_id: id }, signal });
  const destination = await get('/destinations/{destination_id}', { at: { destination_id: run.destination_id }, signal }).catch(ignored);
  const [plan, sources, types] = await Promise.all([
    get('/plans/{plan_id}', { at: { plan_id: run.plan_id }, signal }).catch(ignored), all('/sources', { signal }), all('/destination-types', { signal }),
  ]);
  const source = sources.find(each => each.id === destination?.config_json.source_id);
  const type = types.find(each => each.name === destination?.destination_type);
  const showId = (/** @type {string} */ id) => recordId({
    provider: type?.provider ?? '', base_url: plan?.base_url ?? source?.base_url, account: plan?.account ?? source?.account, object: destination ? objectOf(destination, type) : '',
  }, id);
  const pace = estimate();
  const where = slot();
  const head = h('div');
  const progress = h('div', { class: 'progress' });
  const attention = h('div');
  const checks = h('div', { class: 'slot' });
  const about = h('div');
  const chart = rateChart();
  const outcomes = outcomeList(id, showId, signal);
  const requests = requestLog(id, signal);
  let said = 0;
  let listed = 0;
  /** @type {string | undefined} */
  let drawnStatus;
  /** @type {string | undefined} */
  let drawnAttention;

  function draw() {
    if (run.status !== drawnStatus) {
      drawnStatus = run.status;
      fill(head, headingOf(run, destination, { where, go, changed }));
    }
    fill(progress, progressOf(run, pace(run)));
    const worthy = JSON.stringify([run.stopped, run.status, run.refused_requests, run.required_rights]);
    if (worthy !== drawnAttention) {
      drawnAttention = worthy;
      fill(attention, attentionOf(run));
    }
    fill(checks, checksOf(run));
    fill(about, plan && target(plan, source), aboutOf(run, destination));
  }

  function changed(/** @type {Run} */ next) {
    const ended = isEnded(next.status) && !isEnded(run.status);
    const restarted = isEnded(run.status) && !isEnded(next.status);
    run = next;
    draw();
    if (ended || Date.now() - said > SAID_EVERY) {
      said = Date.now();
      announce(ended ? `Run ended: ${standing(run).name}. ${inWords(run)}` : inWords(run));
    }
    if (ended) outcomes.restart(run);
    else if (Date.now() - listed > OUTCOMES_EVERY) {
      listed = Date.now();
      outcomes.refresh();
    }
    if (restarted) follow();
  }

  async function rate() {
    const known = await get('/runs/{run_id}/rate', { at: { run_id: id }, signal }).catch(ignored);
    if (known) chart.replace(known.seconds, known.bucket_seconds, known.limit);
  }

  function follow() {
    const stream = new EventSource(path('/runs/{run_id}/events', { run_id: id }));
    const stop = () => stream.close();
    signal.addEventListener('abort', stop);
    let fresh = true;
    stream.addEventListener('open', () => {
      fresh = true;
      where.clear();
    });
    stream.addEventListener('run', event => {
      changed(JSON.parse(event.data));
      // The stream ends now; a browser would open it again.
      if (isEnded(run.status)) {
        stop();
        rate();
      }
    });
    stream.addEventListener('rate', event => {
      // The first one counts all calls before it.
      if (fresh) rate();
      else chart.add(JSON.parse(event.data));
      fresh = false;
    });
    stream.addEventListener('error', () => {
      if (stream.readyState === EventSource.CONNECTING) where.show(notice('warn', null, h('p', 'The connection to the server is lost. This page tries again by itself; what is shown may be old.')));
      if (stream.readyState === EventSource.CLOSED && !signal.aborted && !isEnded(run.status)) poll();
    });
  }

  /** Where something between the page and the server holds streams back. */
  async function poll() {
    while (!signal.aborted && !isEnded(run.status)) {
      await new Promise(resolve => setTimeout(resolve, ASKED_EVERY));
      try {
        changed(await get('/runs/{run_id}', { at: { run_id: id }, signal }));
      } catch (error) {
        if (!isAbort(error)) where.show(problem(error));
      }
    }
    rate();
  }

  signal.addEventListener('abort', () => chart.stop());
  draw();
  await Promise.all([outcomes.restart(run), rate()]);
  if (!isEnded(run.status)) follow();
  return h('div', head, where, attention,
    section('Progress', progress, checks),
    section("Calls, against the CRM's limit", chart.element),
    section('Outcomes', outcomes.element),
    section('Requests', requests),
    section('About this run', about));
}

/** @returns {null} */
function ignored(/** @type {unknown} */ error) {
  if (isAbort(error)) throw error;
  return null;
}

const NOT_KNOWN = 'What became of its changes is not known: its journal cannot be read.';

function inWords(/** @type {Run} */ run) {
  const counts = countsOf(run);
  if (!counts) return NOT_KNOWN;
  const told = NAMES.filter(name => counts[name] > 0).map(name => `${number(counts[name])} ${name}`).join(', ');
  return `${number(run.writable - counts.pending)} of ${count(run.writable, 'record')} have their outcome: ${told}.`;
}

/**
 * @param {Run} run
 * @param {Destination | null} destination
 * @param {{ where: Slot, go: Visit['go'], changed: (next: Run) => void }} how
 */
function headingOf(run, destination, { where, go, changed }) {
  /**
   * @param {string} text
   * @param {'/runs/{run_id}/cancel' | '/runs/{run_id}/resume'} route
   * @param {Attributes<HTMLButtonElement>} [attributes]
   */
  const act = (text, route, attributes) => button(text, async event => {
    const next = await during(event.currentTarget, where, () => post(route, { at: { run_id: run.run_id } }));
    if (next) changed(next);
  }, attributes);
  const undo = button('Undo…', async event => {
    const plan = await during(event.currentTarget, where, () => post('/runs/{run_id}/undo', { at: { run_id: run.run_id } }), 'Reading what the records hold now, to plan the undo…');
    if (plan) go(`#/plans/${encodeURIComponent(plan.plan_id)}`);
  });
  const operator = can('operator');
  const unfinished = ['queued', 'waiting', 'running', 'interrupted'].includes(run.status);
  const mayResume = run.status === 'stopped' && run.pending !== 0;
  const name = destination?.name ?? run.destination_id;
  return heading(['Run ', h('span', { class: 'id' }, run.run_id)], {
    crumb: [link('Runs', '#/runs'), ' / ', link(name, `#/destinations/${encodeURIComponent(run.destination_id)}`)],
    intro: [statusBadge(run), ' ', standing(run).what, run.undoes && [' It undoes ', link(run.undoes, `#/runs/${encodeURIComponent(run.undoes)}`), '.']],
    actions: [
      operator && unfinished && act('Cancel run', '/runs/{run_id}/cancel'),
      operator && mayResume && act('Resume', '/runs/{run_id}/resume', { class: 'primary' }),
      operator && isEnded(run.status) && run.can_undo && undo,
      isEnded(run.status) && run.total > (run.updated ?? 0) + (run.unchanged ?? 0) && link('Download rejects', path('/runs/{run_id}/rejects.csv', { run_id: run.run_id }), { class: 'button', download: `${run.run_id}-rejects.csv` }),
    ],
  });
}

/** @returns {Child} */
function progressOf(/** @type {Run} */ run, /** @type {number | null} */ left) {
  const counts = countsOf(run);
  if (!counts) return notice('warn', null, h('p', NOT_KNOWN));
  const { writable, total, skipped } = run;
  const done = writable - counts.pending;
  const of = { ...counts, skipped };
  const live = !isEnded(run.status);
  return [
    h('p', { class: 'progress-line' }, h('strong', `${number(done)} of ${number(writable)}`), ' changes have their outcome',
      run.started_at && [', ', live ? 'at work for ' : 'in ', worked(run)],
      left !== null && [', about ', h('strong', duration(left)), ' left']),
    h('progress', { max: Math.max(writable, 1), value: done, class: 'unseen', 'aria-label': 'Changes that have their outcome' }),
    bar(NAMES.map(name => [name, counts[name]])),
    sum([{ value: total, text: run.undoes ? 'records' : 'golden records' }, ...WITH_SKIPPED.filter(name => of[name] > 0 || name === 'updated').map(name => ({ name, value: of[name], text: OUTCOMES[name].name }))]),
    h('ul', { class: 'legend' }, WITH_SKIPPED.filter(name => of[name] > 0 && name !== 'updated').map(name => h('li', h('strong', OUTCOMES[name].name), `: ${OUTCOMES[name].what}`))),
  ];
}

function attentionOf(/** @type {Run} */ run) {
  const { stopped } = run;
  const unauthorized = stopped?.reason === 'unauthorized';
  return [
    stopped && notice(stopped.reason === 'cancelled' || run.status === 'waiting' ? 'warn' : 'bad', `${run.status === 'waiting' ? 'Waiting' : 'Stopped'}: ${stopped.reason.replaceAll('_', ' ')}`,
      h('p', prose(capital(stopped.message)), stopped.code && [' ', code(stopped.code)]),
      unauthorized && run.required_rights && h('p', h('strong', 'The credential needs: '), run.required_rights),
      unauthorized && h('p', link('Renew it in the source', '#/sources'), ', then resume.'),
      run.status === 'waiting' ? h('p', 'It resumes by itself', run.due_at && [' at ', time(run.due_at)], '; you do not have to do anything.') : (run.pending ?? 0) > 0 && !unauthorized && h('p', `${count(run.pending ?? 0, 'record')} pending. Resume continues where the run stopped.`)),
    run.refused_requests > 0 && notice('bad', null, h('p', `${count(run.refused_requests, 'request')} of the component were refused at egress; the server's log says why.`)),
  ];
}

/**
 * What reading back came to, or why it could not be done.
 *
 * @typedef {{ row: number, provider_id: string, field?: string, written?: unknown, now?: unknown, reason?: string }} Unlike
 * @typedef {{ error?: string, verified?: number, as_written?: number, stored_differently?: Unlike[], not_read?: Unlike[] }} Verified
 */

/** How far back the pace of a run is looked at, and from when on it says something. */
const PACE_MS = 20_000;
const PACE_FROM_MS = 3000;

/**
 * Estimates how long a run takes yet, from the pace that this page has seen: a function from the run as it is now to milliseconds, or null
 * where nothing can be said.
 */
function estimate() {
  /** @type {{ at: number, pending: number }[]} */
  let seen = [];
  return (/** @type {Run} */ run) => {
    const { pending } = run;
    if (run.status !== 'running' || typeof pending !== 'number') {
      seen = [];
      return null;
    }
    const now = Date.now();
    // What a resumed run begins again with is no pace.
    if (seen.length && pending > seen[seen.length - 1].pending) seen = [];
    seen.push({ at: now, pending });
    seen = seen.filter(each => now - each.at <= PACE_MS);
    const [{ at, pending: before }] = seen;
    return pending > 0 && now - at >= PACE_FROM_MS && before > pending ? (pending * (now - at)) / (before - pending) : null;
  };
}

/** What the canary and reading back came to. */
function checksOf(/** @type {Run} */ run) {
  const { canary } = run;
  /** @type {Verified | null | undefined} */
  const verified = run.verified;
  const parts = [];
  if (canary) {
    const { size, held } = canary;
    const first = `Canary: the first ${count(Math.min(size, run.writable), 'record')}`;
    /** @type {['good' | 'bad' | 'warn' | 'quiet', string]} */
    const [tone, text] = held === true ? ['good', `${first} hold what was written, so the others followed.`]
      : held === false ? ['bad', `${first} did not all come to hold what was written, so ${number(run.pending)} stay pending. Look at the outcomes before you resume.`]
        : isEnded(run.status) ? ['warn', `${first} were to be read back before the others; the run ended before that.`]
          : ['quiet', `${first} are written and read back before the others.`];
    parts.push(notice(tone, null, h('p', text)));
  }
  if (verified?.error) parts.push(notice('bad', null, h('p', `What was written could not be read back: ${verified.error}`)));
  else if (verified?.verified !== undefined) {
    const wrong = [...(verified.stored_differently ?? []), ...(verified.not_read ?? [])];
    parts.push(notice(wrong.length ? 'bad' : 'good', null, h('p', `${canary && !run.verify ? 'Read back in the canary' : 'Read back'}: ${number(verified.as_written)} of ${count(verified.verified, 'record')} hold what was written.`),
      wrong.length > 0 && table('Records that do not hold what was written', [
        { label: 'Record', header: true, cell: each => [code(each.provider_id), ` row ${number(each.row)}`] },
        { label: 'Field', cell: each => (each.field ? code(each.field) : '–') },
        { label: 'Written', cell: each => ('written' in each ? longText(JSON.stringify(each.written)) : '–') },
        { label: 'The CRM holds', cell: each => (each.reason ? longText(each.reason) : longText(JSON.stringify(each.now))) },
      ], wrong.slice(0, 100))));
  }
  return parts;
}

function aboutOf(/** @type {Run} */ run, /** @type {Destination | null} */ destination) {
  return facts([
    ['Run', copyable(run.run_id)],
    ['Plan', link(run.plan_id, `#/plans/${encodeURIComponent(run.plan_id)}`)],
    ['Destination', link(destination?.name ?? run.destination_id, `#/destinations/${encodeURIComponent(run.destination_id)}`)],
    ['Confirmed by', person(run.started_by)],
    ['Confirmed', time(run.created_at)],
    ['Started', run.started_at && time(run.started_at)],
    ['At work', run.started_at && worked(run)],
    ['Ended', run.ended_at && time(run.ended_at)],
    ['Guards overridden', run.override.length > 0 && run.override.map(name => h('div', guard(name), ' ', code(name)))],
    ['Peak memory', run.peak_memory_bytes ? bytes(run.peak_memory_bytes) : null],
  ]);
}

/**
 * @param {string} id
 * @param {(id: string) => Child} showId
 * @param {AbortSignal} signal
 */
function outcomeList(id, showId, signal) {
  /** @type {Outcome | ''} */
  let chosen = '';
  let touched = false;
  const list = paged({
    signal, what: 'outcomes', none: 'There is none.',
    load: (after, signal) => get('/runs/{run_id}/outcomes', { at: { run_id: id }, signal, query: { outcome: chosen || undefined, after, limit: 50 } }),
    show: items => table('Outcomes', [
      { label: 'Provider id', header: true, cell: each => showId(each.provider_id) },
      { label: 'Row', class: 'number', cell: each => number(each.row) },
      { label: 'Outcome', cell: each => h('span', { class: 'outcome' }, h('span', { class: `dot dot-${each.outcome}`, 'aria-hidden': 'true' }), each.outcome) },
      { label: "The CRM's answer", cell: each => answer(each.response) },
    ], items),
  });
  const filter = field('Outcome', h('select', { onchange: event => {
    chosen = NAMES.find(name => name === event.currentTarget.value) ?? '';
    touched = true;
    list.restart();
  } }, options([['', 'All'], ...NAMES.map(name => /** @type {[string, string]} */ ([name, `${name}: ${OUTCOMES[name].what}`]))], '')));
  return {
    element: h('div', h('div', { class: 'filter wide' }, filter), list),
    refresh: () => list.refresh(),
    /** Begins again; of a run that has ended with the records that somebody has to look at. */
    restart: (/** @type {Run} */ run) => {
      if (!touched && isEnded(run.status)) chosen = TO_LOOK_AT.find(name => (run[name] ?? 0) > 0) ?? '';
      filter.control.value = chosen;
      return list.restart();
    },
  };
}

/** @returns {Child} */
function answer(/** @type {ChangeOutcome['response']} */ response) {
  if (!response) return '–';
  return [response.status ? badge(`HTTP ${response.status}`) : null, response.code && [' ', code(response.code), ' '], response.message && longText(response.message, 200)];
}

/** Asked for when somebody looks: it may be long, and is kept for a week only. */
function requestLog(/** @type {string} */ id, /** @type {AbortSignal} */ signal) {
  const list = paged({
    signal, what: 'requests', none: 'There is none.',
    load: (after, signal) => get('/runs/{run_id}/requests', { at: { run_id: id }, signal, query: { after, limit: 100 } }),
    show: items => table('Requests', [
      { label: 'At', cell: each => time(each.at) },
      { label: 'Request', header: true, cell: each => [code(each.method), ' ', h('span', { class: 'value mono' }, each.path)] },
      { label: 'Status', cell: each => (each.status ? badge(String(each.status), each.status >= 400 ? 'bad' : 'quiet') : badge('no answer', 'warn')) },
      { label: 'ms', class: 'number', cell: each => number(each.ms) },
      { label: 'Sent', class: 'number', cell: each => bytes(each.bytes_out) },
      { label: 'Received', class: 'number', cell: each => bytes(each.bytes_in) },
    ], items),
  });
  const refresh = button('Refresh', () => list.restart(), { class: 'small' });
  return h('details', { class: 'more', ontoggle: event => event.currentTarget.open && list.restart() },
    h('summary', 'Show the request log'), h('p', { class: 'help' }, 'Method, path, status, time and sizes; no query, no bodies. Kept for 7 days. ', refresh), list);
}

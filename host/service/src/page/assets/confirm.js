// The gate as a person meets it: the numbers once more, how careful to be, and a yes that cannot be given by accident.

/** @import { Plan, Run, Source } from '../types/api' */

import { idempotencyKey, post } from './api.js';
import { h } from './dom.js';
import { hostOf, sandboxOf } from './links.js';
import { ask, badge, checkbox, code, facts, field, radios } from './parts.js';
import { count, guard, number } from './words.js';

/** From this many records on, a click is not enough: the number must be typed. The same as the command's. */
export const LARGE = 1000;

/**
 * Asks, and starts the run. Answers the run, or null where nothing was confirmed.
 *
 * @param {Plan} plan
 * @param {string[]} overridden
 * @param {Source | undefined} source
 * @returns {Promise<Run | null>}
 */
export async function confirmRun(plan, overridden, source) {
  const { writable, total, skipped, undoes, destination } = plan;
  const key = idempotencyKey();
  const verb = undoes ? 'put back' : 'updated';
  const names = Object.keys(plan.fields);
  const typed = writable < LARGE ? null : field(`Type ${number(writable)} to confirm`, h('input', { type: 'text', inputmode: 'numeric', autocomplete: 'off', 'data-first': true }));
  const size = field('Records in the canary', h('input', { type: 'number', min: 1, max: writable, value: Math.min(50, writable) }));
  size.hidden = true;
  const canary = checkbox('Canary', {
    help: 'Write some records first, read all of them back, and continue only if each holds what was written.',
    onchange: event => {
      size.hidden = !event.currentTarget.checked;
    },
  });
  /** @type {'' | 'sample' | 'all'} */
  let verify = '';
  const verifying = radios('Read back after the run', 'verify', [['', 'Nothing'], ['sample', 'A sample of 100'], ['all', 'All records']], verify, value => {
    verify = value;
  });
  /** @type {Run | null} */
  let run = null;
  await ask({
    wide: true,
    title: undoes ? `Put back ${count(writable, 'record')}?` : `Update ${count(writable, 'record')} in ${destination.name}?`,
    action: undoes ? `Put back ${count(writable, 'record')}` : `Update ${count(writable, 'record')}`,
    danger: writable >= LARGE || overridden.length > 0,
    fields: [
      target(plan, source),
      h('p', undoes
        ? ['Of ', count(total, 'record'), ' that ', code(undoes), ' wrote, ', h('strong', number(writable)), ' will be put back to what they held before, and ', h('strong', number(skipped)), ' will be left alone.']
        : ['Of ', count(total, 'golden record'), ', ', h('strong', number(writable)), ` will be ${verb} at the CRM, and `, h('strong', number(skipped)), ' will be skipped.']),
      plan.mode !== 'compare' && !undoes && h('p', 'This cannot be undone here: the plan was made without reading the previous values. A plan that compares can be.'),
      names.length > 0 && h('p', { class: 'muted' }, `${count(names.length, 'field')}: `, names.slice(0, 12).join(', '), names.length > 12 && ` and ${names.length - 12} more`, '.'),
      overridden.length > 0 && h('div', { class: 'notice warn' }, h('p', { class: 'notice-title' }, `In spite of ${count(overridden.length, 'guard')}`),
        h('ul', overridden.map(name => h('li', guard(name), ' ', code(name))))),
      h('details', { class: 'more' }, h('summary', 'Canary and reading back'), canary, size, verifying),
      typed,
    ],
    confirm: async () => {
      if (typed && typed.control.value.replaceAll(/[,.\s]/g, '') !== String(writable)) {
        typed.fail(`Nothing was written. Type the number of records, ${number(writable)}.`);
        typed.control.focus();
        return false;
      }
      typed?.fail('');
      run = await post('/destinations/{destination_id}/reverse-run', {
        at: { destination_id: plan.destination_id }, query: { wait: 0 }, headers: { 'idempotency-key': key },
        body: { confirm: true, plan_id: plan.plan_id, override: overridden, canary: canary.control.checked ? Number(size.control.value) : undefined, verify: verify || undefined },
      });
      return true;
    },
  });
  return run;
}

const CRMS = /** @type {Record<string, string>} */ ({ hubspot: 'HubSpot', salesforce: 'Salesforce' });

/** Where it is written: the account, the source, the host, and that it is a sandbox where the address says so. */
export function target(/** @type {Plan} */ plan, /** @type {Source | undefined} */ source) {
  const sandbox = sandboxOf(plan.base_url);
  const account = plan.account ?? source?.account;
  const crm = source ? CRMS[source.provider] ?? source.provider : 'CRM';
  return h('div', { class: 'target' }, facts([
    [`${crm} account`, account ? [h('strong', account), sandbox && [' ', badge(sandbox, 'accent')]] : ['not known: check the source', sandbox && [' ', badge(sandbox, 'accent')]]],
    ['Source', source ? source.name : null],
    ['Host', plan.base_url ? code(hostOf(plan.base_url) ?? plan.base_url) : null],
  ]));
}

// The org's sources: connected CRM accounts with their stored credentials, which are write-only.

/** @import { Check, LastCheck, Source } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, get, post, remove } from '../api.js';
import { announce, h } from '../dom.js';
import { ask, badge, button, code, copyable, during, empty, facts, heading, link, notice, prose, slot, time } from '../parts.js';
import { can } from '../session.js';
import { sandboxOf } from '../links.js';
import { capital, worded } from '../words.js';

/** @type {Record<string, string>} */
export const PROVIDERS = { hubspot: 'HubSpot', salesforce: 'Salesforce' };

export async function view(/** @type {Visit} */ { signal, go }) {
  const sources = await all('/sources', { signal });
  const create = can('admin') && link('New source', '#/sources/new', { class: 'button primary' });
  return h('div',
    heading('Sources', { intro: 'Connected CRM accounts. Their credentials are stored encrypted and never shown again.', actions: sources.length > 0 && create }),
    sources.length
      ? h('ul', { class: 'stack' }, sources.map(source => h('li', one(source, go))))
      : empty('There is no source yet.', create ? h('p', create) : 'An admin of the org can connect one.'));
}

function one(/** @type {Source} */ source, /** @type {Visit['go']} */ go) {
  const where = slot();
  const check = can('operator') && button('Check', async event => {
    const result = await during(event.currentTarget, where, () => post('/sources/{source_id}/check', { at: { source_id: source.id } }), `Asking ${PROVIDERS[source.provider] ?? source.provider}…`);
    if (!result) return;
    // What it found is the source's now: its account, its time.
    const card = one(await get('/sources/{source_id}', { at: { source_id: source.id } }), go);
    whole.replaceWith(card);
    card.querySelector('button')?.focus();
    announce(result.ok ? 'The check found nothing wrong' : 'The check found something wrong');
  });
  const edit = can('admin') && link('Edit', `#/sources/${encodeURIComponent(source.id)}/edit`, { class: 'button', 'aria-label': `Edit ${source.name}` });
  const drop = can('admin') && button('Delete', async () => {
    const gone = await ask({
      title: `Delete the source ${source.name}?`, action: 'Delete source', danger: true,
      fields: [h('p', 'Its stored credential is deleted with it. Nothing changes in the CRM. A source that a destination uses cannot be deleted.')],
      confirm: async () => {
        await remove('/sources/{source_id}', { at: { source_id: source.id } });
        return true;
      },
    });
    if (gone) go('#/sources');
  }, { class: 'quiet', 'aria-label': `Delete ${source.name}` });
  const sandbox = sandboxOf(source.base_url);
  const whole = h('article', { class: 'panel' },
    h('header', { class: 'panel-head' },
      h('h2', source.name, ' ', badge(PROVIDERS[source.provider] ?? source.provider), sandbox && [' ', badge(sandbox, 'accent')]),
      h('div', { class: 'actions' }, check, edit, drop)),
    facts([
      ['Id', copyable(source.id)],
      ['Address', source.base_url && code(source.base_url)],
      ['Account', source.account ? code(source.account) : 'not known yet: a check finds it out'],
      ['Credential', [source.credential.kind === 'oauth' ? `OAuth, ${source.credential.grant ?? 'refresh_token'}` : 'access token', ', set ', time(source.credential.set_at)]],
      ['Limit', source.limit ? `${source.limit.calls} calls in ${source.limit.per_seconds} s` : "the CRM's own"],
      ['Private network', source.allow_private_network ? 'allowed' : null],
    ]),
    where, source.last_check ? checked(source.last_check, source) : notice('quiet', null, h('p', 'Not checked since it was changed.')));
  return whole;
}

/** What is wrong, and what to do about it, as far as a check tells. */
function verdict(/** @type {Check} */ { ok, reachable, authorized, scopes, account }, /** @type {Source} */ source) {
  const crm = PROVIDERS[source.provider] ?? source.provider;
  const edit = link('Edit the source', `#/sources/${encodeURIComponent(source.id)}/edit`);
  if (ok) return scopes.known ? { tone: 'good', title: 'The credential works', todo: null } : { tone: 'quiet', title: `${crm} takes the credential`, todo: [`Whether it may write is not known: ${crm} does not list its scopes. The first run shows it.`] };
  if (!reachable) return { tone: 'bad', title: `${crm} was not reached`, todo: ['Nothing answers at this address. ', edit, ' if it is wrong; otherwise try again later.'] };
  if (!authorized) return { tone: 'bad', title: `${crm} does not take the credential`, todo: [source.provider === 'hubspot' ? 'Make a private app token in HubSpot (Settings > Integrations > Private Apps). ' : 'Get a new credential in Salesforce. ', edit, ' and enter it.'] };
  if (scopes.missing.length > 0) return { tone: 'bad', title: 'Scopes are missing', todo: [`Add them to the credential in ${crm}: `, scopes.missing.map((scope, at) => [at > 0 && ', ', code(scope)]), '. Then check again.'] };
  if (account && source.account && account !== source.account) return { tone: 'bad', title: 'The credential opens another account', todo: [`It opens ${account}, and the source is for ${source.account}. `, edit, ': enter the right credential, or change the account.'] };
  return { tone: 'bad', title: 'Something was found', todo: [edit, ' after reading the details.'] };
}

function checked(/** @type {LastCheck} */ { at, found }, /** @type {Source} */ source) {
  const { scopes } = found;
  const { tone, title, todo } = verdict(found, source);
  return notice(/** @type {'good' | 'bad' | 'quiet'} */ (tone), title,
    todo && h('p', todo),
    h('ul', { class: 'ticks' },
      h('li', found.reachable ? '✓ Reached' : '✗ Not reached'),
      found.reachable && h('li', found.authorized ? '✓ Authorized' : '✗ Not authorized'),
      found.account && h('li', '✓ Account ', code(found.account))),
    h('p', { class: 'tail' }, h('span', 'Checked ', time(at))),
    h('details', { class: 'more' }, h('summary', 'Details'),
      h('p', prose(capital(worded(found.detail.replace(new RegExp(`^${source.provider}\\b`), PROVIDERS[source.provider] ?? source.provider))))),
      scopes.known && scopes.present.length > 0 && h('p', 'Scopes there: ', scopes.present.map(scope => [code(scope), ' ']))));
}

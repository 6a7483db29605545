// The org's sources: connected CRM accounts with their stored credentials, which are write-only.

/** @import { Check, Source } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, post, remove } from '../api.js';
import { announce, h } from '../dom.js';
import { ask, badge, button, code, copyable, during, empty, facts, heading, link, notice, prose, slot, time } from '../parts.js';
import { can } from '../session.js';
import { capital } from '../words.js';

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
    if (result) where.show(checked(result, source.provider));
    if (result) announce(result.ok ? 'The check found nothing wrong' : 'The check found something wrong');
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
  return h('article', { class: 'panel' },
    h('header', { class: 'panel-head' },
      h('h2', source.name, ' ', badge(PROVIDERS[source.provider] ?? source.provider)),
      h('div', { class: 'actions' }, check, edit, drop)),
    facts([
      ['Id', copyable(source.id)],
      ['Address', source.base_url && code(source.base_url)],
      ['Account', source.account ? code(source.account) : 'any, until a check finds it out'],
      ['Credential', [source.credential.kind === 'oauth' ? `OAuth, ${source.credential.grant ?? 'refresh_token'}` : 'access token', ', set ', time(source.credential.set_at)]],
      ['Limit', source.limit ? `${source.limit.calls} calls in ${source.limit.per_seconds} s` : "the CRM's own"],
      ['Private network', source.allow_private_network ? 'allowed' : null],
    ]),
    where);
}

function checked(/** @type {Check} */ result, /** @type {string} */ provider) {
  const { scopes } = result;
  return notice(result.ok ? 'good' : 'bad', !result.ok ? 'This needs attention' : scopes.known ? 'The credential works' : 'The credential is accepted',
    h('p', prose(capital(result.detail.replace(new RegExp(`^${provider}\\b`), PROVIDERS[provider] ?? provider)))),
    h('ul', { class: 'ticks' },
      h('li', `${result.reachable ? 'Reached' : 'Not reached'}`),
      h('li', `${result.authorized ? 'Authorized' : 'Not authorized'}`),
      result.account && h('li', 'Account: ', code(result.account)),
      scopes.known
        ? [scopes.present.length > 0 && h('li', 'Scopes there: ', scopes.present.map(scope => [code(scope), ' '])),
          scopes.missing.length > 0 && h('li', h('strong', 'Scopes missing: '), scopes.missing.map(scope => [code(scope), ' ']))]
        : h('li', 'Whether it may write is not known')));
}

// Connecting a source, or changing it. Secrets only ever go in.

/** @import { NewSource, SourceChanges } from '../../types/api' */
/** @import { Attributes, Control, Field, Visit } from '../../types/dom' */

import { Problem, get, isAbort, patch, post } from '../api.js';
import { fill, h } from '../dom.js';
import { button, checkbox, during, field, heading, link, options, problem, radios, slot } from '../parts.js';
import { worded } from '../words.js';
import { PROVIDERS } from './sources.js';

/** @typedef {'refresh_token' | 'client_credentials' | 'jwt_bearer'} Grant */
/** @typedef {'keep' | 'access_token' | 'oauth'} Kind What becomes of the credential. */

/** @type {[Grant, string][]} */
const GRANTS = [['refresh_token', 'Refresh token'], ['client_credentials', 'Client credentials'], ['jwt_bearer', 'Signed assertion (JWT bearer)']];
const SECRETS = new Set(['access_token', 'client_secret', 'refresh_token']);
/** @type {Record<string, string>} */
const LABELS = {
  access_token: 'Access token', client_id: 'Client id', client_secret: 'Client secret', refresh_token: 'Refresh token', private_key: 'Private key (PEM)',
  subject: 'Subject', audience: 'Audience', token_url: 'Token endpoint', client_auth: 'Client authentication',
};
const OPTIONAL = new Set(['audience', 'token_url', 'client_auth']);
/** @type {Record<Grant, string[]>} */
const KEYS = {
  refresh_token: ['client_id', 'client_secret', 'refresh_token'],
  client_credentials: ['client_id', 'client_secret'],
  jwt_bearer: ['client_id', 'private_key', 'subject', 'audience'],
};
/** @type {Record<string, string>} */
const HELP = {
  subject: 'The user in whose name it writes.',
  audience: "Left empty, the provider's own.",
  token_url: "Where access tokens come from. Left empty, the provider's own.",
  private_key: 'Begins with -----BEGIN PRIVATE KEY-----.',
};

export async function view(/** @type {Visit} */ { params: [id], signal, go }) {
  const source = id ? await get('/sources/{source_id}', { at: { source_id: id }, signal }) : null;
  const where = slot();
  /** @type {Map<string, Field>} */
  const fields = new Map();
  /**
   * @template {Control} C
   * @param {string} pointer
   * @param {string} label
   * @param {C} control
   * @param {{ help?: string }} [extra]
   */
  const add = (pointer, label, control, extra) => {
    const made = field(label, control, extra);
    fields.set(pointer, made);
    return made;
  };
  const input = (/** @type {Attributes<HTMLInputElement>} */ attributes = {}) => h('input', { type: 'text', autocomplete: 'off', spellcheck: 'false', ...attributes });

  const name = add('/name', 'Name', input({ value: source?.name ?? '', required: true, placeholder: 'Production HubSpot' }));
  const provider = add('/provider', 'Provider', h('select', { onchange: () => drawAddress() }, options(Object.entries(PROVIDERS), source?.provider)));
  provider.control.disabled = Boolean(source);
  const address = add('/base_url', 'Address', input({ type: 'url', value: source?.base_url ?? '' }));
  const addressHelp = h('p', { class: 'help' });
  address.control.before(addressHelp);
  const drawAddress = () => {
    const salesforce = provider.control.value === 'salesforce';
    address.control.placeholder = salesforce ? 'https://yourdomain.my.salesforce.com' : 'https://api.hubapi.com';
    fill(addressHelp, salesforce ? "Your org's own domain at Salesforce." : 'Left empty, https://api.hubapi.com.');
  };
  drawAddress();
  const account = add('/account', 'Account (optional)', input({ value: source?.account ?? '' }), {
    help: "What the CRM calls the account: HubSpot's account number, Salesforce's org id of 18 characters (Setup shows 15). A credential of another one writes nothing. Left empty, the first check finds it out.",
  });
  const calls = add('/limit/calls', 'Calls', input({ type: 'number', min: '1', value: source?.limit?.calls ?? '' }));
  const seconds = add('/limit/per_seconds', 'in seconds', input({ type: 'number', min: '1', value: source?.limit?.per_seconds ?? '' }));
  const privateNetwork = checkbox('Its address may be in a private network', { checked: source?.allow_private_network ?? false });
  const ca = add('/ca_pem', 'Certificate authority (PEM)', h('textarea', { rows: '3', spellcheck: 'false', class: 'mono' }), { help: 'Only where its certificate is not from a public authority.' });

  // A credential is replaced as a whole or not at all.
  const credential = h('div', { class: 'fields' });
  const kept = source?.credential;
  /** @type {Kind} */
  let kind = kept ? 'keep' : 'access_token';
  /** @type {Grant} */
  let grant = kept?.grant ?? 'refresh_token';
  /** @type {Map<string, Field>} */
  let secrets = new Map();
  const secret = (/** @type {string} */ key) => {
    const control = key === 'private_key'
      ? h('textarea', { rows: '4', spellcheck: 'false', autocomplete: 'off', class: 'mono masked' })
      : key === 'client_auth'
        ? h('select', options([['', "The provider's own"], ['body', 'In the body'], ['basic', 'In the header (basic)']]))
        : input({ type: SECRETS.has(key) ? 'password' : 'text', autocomplete: SECRETS.has(key) ? 'new-password' : 'off' });
    const pointer = kind === 'oauth' ? `/credential/oauth/${key}` : `/credential/${key}`;
    const made = add(pointer, OPTIONAL.has(key) ? `${LABELS[key]} (optional)` : LABELS[key], control, { help: HELP[key] });
    secrets.set(key, made);
    return made;
  };
  const drawCredential = () => {
    secrets = new Map();
    if (kind === 'keep') return fill(credential, h('p', { class: 'help' }, 'The stored credential stays as it is.'));
    if (kind === 'access_token') return fill(credential, secret('access_token'));
    const choose = field('Grant', h('select', { onchange: event => {
      grant = /** @type {Grant} */ (event.currentTarget.value);
      drawCredential();
      credential.querySelector('select')?.focus();
    } }, options(GRANTS, grant)));
    return fill(credential, choose, KEYS[grant].map(secret), secret('token_url'), grant !== 'jwt_bearer' && secret('client_auth'));
  };
  drawCredential();
  /** @type {[Kind, string, string?][]} */
  const choices = [
    ['access_token', 'Access token', 'A HubSpot private app token, or a Salesforce session.'],
    ['oauth', 'OAuth', 'Access tokens are fetched and renewed when they are needed.'],
  ];
  if (kept) choices.unshift(['keep', 'Keep the stored one']);
  const kinds = radios('Credential', 'credential', choices, kind, value => {
    kind = value;
    drawCredential();
  });

  /** What cannot be left empty, as the form stands. */
  const isRequired = (/** @type {Field} */ each) => each === name || (each === address && provider.control.value === 'salesforce') || [...secrets].some(([key, made]) => made === each && !OPTIONAL.has(key));
  const collect = () => {
    /** @type {SourceChanges} */
    const body = { name: name.control.value.trim() };
    if (address.control.value.trim() || source?.base_url) body.base_url = address.control.value.trim() || null;
    if (account.control.value.trim() !== (source?.account ?? '')) body.account = account.control.value.trim() || null;
    if (calls.control.value || seconds.control.value) body.limit = { calls: Number(calls.control.value), per_seconds: Number(seconds.control.value) };
    else if (source?.limit) body.limit = null;
    if (privateNetwork.control.checked !== (source?.allow_private_network ?? false)) body.allow_private_network = privateNetwork.control.checked;
    if (ca.control.value.trim()) body.ca_pem = ca.control.value;
    const values = Object.fromEntries([...secrets].map(([key, made]) => [key, made.control.value.trim()]).filter(([, value]) => value));
    if (kind === 'access_token') body.credential = { access_token: values.access_token ?? '' };
    if (kind === 'oauth') body.credential = { oauth: { grant, ...values } };
    return body;
  };

  const submit = button(source ? 'Save' : 'Connect source', () => {}, { type: 'submit', class: 'primary' });
  const form = h('form', {
    class: 'form', novalidate: true, autocomplete: 'off', oninput: () => where.clear(),
    onsubmit: async event => {
      event.preventDefault();
      for (const each of fields.values()) each.fail('');
      const lacking = [...fields.values()].filter(each => each.isConnected && isRequired(each) && !each.control.value.trim());
      for (const each of lacking) each.fail(`${each.querySelector('label')?.textContent} is required.`);
      if (lacking.length) return lacking[0].control.focus();
      const saved = await during(submit, where, async () => {
        try {
          const body = collect();
          if (source) return await patch('/sources/{source_id}', { at: { source_id: id }, body });
          return await post('/sources', { body: /** @type {NewSource} */ ({ ...body, provider: provider.control.value }) });
        } catch (error) {
          if (!(error instanceof Problem)) throw error;
          const at = error.pointer ?? '';
          if (source && kind === 'keep' && at === '/credential') {
            kind = 'access_token';
            const other = kinds.querySelector('input[value="access_token"]');
            if (other instanceof HTMLInputElement) other.checked = true;
            drawCredential();
            const token = secrets.get('access_token');
            token?.fail('You changed the address. For safety the stored credential is not sent there: enter it again.');
            token?.control.focus();
            return null;
          }
          const wrong = [...fields].find(([pointer, each]) => each.isConnected && (at === pointer || at.startsWith(`${pointer}/`)))?.[1];
          if (!wrong) throw error;
          wrong.fail(worded(error.message));
          wrong.control.focus();
          where.show(problem(error));
          return null;
        }
      });
      if (!saved) return undefined;
      // What the credential opens is known at once. That it cannot be asked is no reason not to have saved it.
      await during(submit, where, () => post('/sources/{source_id}/check', { at: { source_id: saved.id }, signal }).catch(error => {
        if (isAbort(error)) throw error;
      }), `Saved. Asking ${PROVIDERS[saved.provider] ?? saved.provider} what the credential opens…`);
      return signal.aborted ? undefined : go('#/sources');
    },
  },
  h('section', { class: 'panel' }, h('div', { class: 'fields two' }, name, provider), address, account,
    h('details', { class: 'more', open: Boolean(source?.limit || source?.allow_private_network) }, h('summary', 'Limit, private network, certificate'),
      h('fieldset', { class: 'inline' }, h('legend', 'Limit of calls'), h('p', { class: 'help' }, "Left empty, the CRM's own limit."), h('div', { class: 'fields two' }, calls, seconds)),
      privateNetwork, ca)),
  h('section', { class: 'panel' }, kinds, credential),
  where, h('div', { class: 'actions' }, submit, link('Cancel', '#/sources', { class: 'button quiet' })));
  return h('div', heading(source ? `Edit ${source.name}` : 'New source', { crumb: link('Sources', '#/sources'), intro: 'A CRM account and the credential that its destinations reuse.' }), form);
}

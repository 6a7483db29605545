// API keys: made here, shown once, revoked here.

/** @import { CreatedApiKey, Role } from '../../types/api' */
/** @import { Visit } from '../../types/dom' */

import { all, post, remove } from '../api.js';
import { h } from '../dom.js';
import { ask, badge, button, copyable, empty, field, heading, notice, options, slot, table, time } from '../parts.js';
import { ROLES } from '../words.js';

export async function view(/** @type {Visit} */ { signal, go }) {
  const keys = await all('/api-keys', { signal });
  const made = slot();
  const create = button('New API key', () => make(), { class: 'primary' });
  async function make() {
    const name = field('Name', h('input', { type: 'text', autocomplete: 'off', 'data-first': true, placeholder: 'Nightly job' }), { help: 'Who or what uses it.' });
    const role = field('Role', h('select', options(Object.entries(ROLES).map(([role, what]) => [role, `${role}: ${what}`]), 'operator')));
    /** @type {CreatedApiKey | undefined} */
    let key;
    await ask({
      title: 'New API key', action: 'Make key', fields: [name, role],
      confirm: async () => {
        name.fail(name.control.value.trim() ? '' : 'Give it a name.');
        if (!name.control.value.trim()) {
          name.control.focus();
          return false;
        }
        key = await post('/api-keys', { body: { name: name.control.value.trim(), role: /** @type {Role} */ (role.control.value) } });
        return true;
      },
    });
    if (!key) return;
    const kept = button('I have kept it', () => go('#/keys'));
    const copy = copyable(key.api_key);
    made.show(notice('good', `The key of ${key.name} (${key.role})`, h('p', copy), h('p', 'It is shown only now. Keep it where secrets are kept.'), kept));
    copy.querySelector('button')?.focus();
  }
  return h('div', heading('API keys', { intro: 'Each has a role. A key is shown once, when it is made, and stored as a hash.', actions: create }), made,
    keys.length ? table('API keys', [
      { label: 'Name', header: true, cell: key => key.name },
      { label: 'Role', cell: key => badge(key.role) },
      { label: 'Id', cell: key => copyable(key.id) },
      { label: 'Made', cell: key => time(key.created_at) },
      { label: '', cell: key => button('Revoke', async () => {
        const gone = await ask({
          title: `Revoke the key ${key.name}?`, action: 'Revoke key', danger: true, fields: [h('p', 'Whoever uses it is refused from now on.')],
          confirm: async () => {
            await remove('/api-keys/{key_id}', { at: { key_id: key.id } });
            return true;
          },
        });
        if (gone) go('#/keys');
      }, { class: 'quiet small', 'aria-label': `Revoke ${key.name}` }) },
    ], keys) : empty('There are no keys.'));
}

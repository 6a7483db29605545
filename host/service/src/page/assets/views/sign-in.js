// Signing in with an API key. The link that `serve` prints signs in by itself.

import { h } from '../dom.js';
import { button, code, during, field, heading, problem, slot } from '../parts.js';
import { signIn } from '../session.js';

/** @param {{ error?: unknown, signedIn: () => void }} how */
export function view({ error, signedIn }) {
  const where = slot();
  if (error) where.show(problem(error));
  const key = h('input', { type: 'password', name: 'api_key', autocomplete: 'current-password', spellcheck: 'false', required: true, placeholder: 'rsk_…' });
  const keyField = field('API key', key, { help: 'It was shown once, when it was made. An admin of your org can make another.' });
  const submit = button('Sign in', () => {}, { type: 'submit', class: 'primary' });
  const form = h('form', {
    class: 'narrow panel', novalidate: true,
    onsubmit: async event => {
      event.preventDefault();
      const value = key.value.trim();
      keyField.fail(value ? '' : 'Enter an API key.');
      if (!value) return key.focus();
      if (await during(submit, where, () => signIn({ api_key: value }))) {
        key.value = '';
        signedIn();
      }
      return undefined;
    },
  }, keyField, where, h('div', { class: 'actions' }, submit),
  h('p', { class: 'help' }, 'On your own machine, open the link that ', code('reverse-sync serve'), ' printed: it signs you in by itself, once.'));
  return h('div', { class: 'sign-in' }, heading('Sign in', { intro: 'Golden records, written back to the CRM they came from. Nothing is written before somebody has looked and confirmed.' }), form);
}

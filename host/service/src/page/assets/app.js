// The shell: which view stands where, who is signed in, and where the focus goes when a view changes.

/** @import { Me, Role, Unreadable } from '../types/api' */
/** @import { On, Visit } from '../types/dom' */

import { Problem, SIGNED_OUT, UNREADABLE, isAbort } from './api.js';
import { announce, fill, focusOn, h, theElement } from './dom.js';
import { button, code, heading, notice, problem } from './parts.js';
import { can, current, forget, load, signIn, signOut } from './session.js';
import { bytes, number } from './words.js';
import * as audit from './views/audit.js';
import * as destination from './views/destination.js';
import * as destinationForm from './views/destination-form.js';
import * as destinations from './views/destinations.js';
import * as golden from './views/golden.js';
import * as keys from './views/keys.js';
import * as plan from './views/plan.js';
import * as run from './views/run.js';
import * as runs from './views/runs.js';
import * as sign from './views/sign-in.js';
import * as sourceForm from './views/source-form.js';
import * as sources from './views/sources.js';

// A view answers an element, and stops what it has started when its signal says so.
/** @type {[where: RegExp, view: (visit: Visit) => Promise<HTMLElement>, title: string, role?: Role][]} */
const VIEWS = [
  [/^\/destinations$/, destinations.view, 'Destinations'],
  [/^\/destinations\/new$/, destinationForm.view, 'New destination', 'admin'],
  [/^\/destinations\/([^/]+)$/, destination.view, 'Destination'],
  [/^\/destinations\/([^/]+)\/edit$/, destinationForm.view, 'Edit destination', 'admin'],
  [/^\/sources$/, sources.view, 'Sources'],
  [/^\/sources\/new$/, sourceForm.view, 'New source', 'admin'],
  [/^\/sources\/([^/]+)\/edit$/, sourceForm.view, 'Edit source', 'admin'],
  [/^\/golden$/, golden.view, 'Golden records'],
  [/^\/plans\/([^/]+)$/, plan.view, 'Plan'],
  [/^\/runs$/, runs.view, 'Runs'],
  [/^\/runs\/([^/]+)$/, run.view, 'Run'],
  [/^\/audit$/, audit.view, 'Audit log'],
  [/^\/keys$/, keys.view, 'API keys', 'admin'],
];
/** @type {[name: string, text: string, role?: Role][]} */
const NAVIGATION = [
  ['destinations', 'Destinations'], ['sources', 'Sources'], ['golden', 'Golden records'], ['runs', 'Runs'], ['audit', 'Audit log'], ['keys', 'API keys', 'admin'],
];
const HOME = '#/destinations';

const main = theElement('main');
const nav = theElement('nav');
const account = theElement('account');
// What the lists of a view leave out, by id: it stands above the view, so that nothing is missed.
const unreadable = h('div');
/** @type {Map<string, string>} */
const leftOut = new Map();
main.before(unreadable);
let leaving = new AbortController();
let visits = 0;

async function show() {
  const hash = location.hash;
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  visits += 1;
  const visit = visits;
  leftOut.clear();
  fill(unreadable);
  const me = current();
  if (!me) return showSignIn(undefined);
  const [where, query] = hash.replace(/^#/, '').split('?');
  const found = VIEWS.find(([pattern]) => pattern.test(where));
  drawShell(where);
  if (!found) return location.replace(HOME);
  const [pattern, view, title, role] = found;
  if (role && !can(role)) return put(h('div', heading(title), h('p', `This needs the role ${role}; yours is ${me.role}.`)), title);
  main.setAttribute('aria-busy', 'true');
  try {
    const params = (where.match(pattern) ?? []).slice(1).map(decodeURIComponent);
    const element = await view({ params, query: new URLSearchParams(query), signal, go });
    if (visit === visits) put(element, title);
  } catch (error) {
    if (visit === visits && !isAbort(error) && current()) put(h('div', heading(title), problem(error, h('p', button('Try again', show)))), title);
  }
  return undefined;
}

function go(/** @type {string} */ hash) {
  if (location.hash === hash) show();
  else location.hash = hash;
}

function put(/** @type {HTMLElement} */ element, /** @type {string} */ title) {
  main.removeAttribute('aria-busy');
  fill(main, element);
  const first = main.querySelector('h1');
  document.title = `${first?.textContent || title} · reverse-sync`;
  window.scrollTo(0, 0);
  // The first view of a visit leaves the focus where the browser has it, before the skip link.
  if (visits > 1) focusOn(first ?? main);
}

// A plan is a destination's.
const partOf = (/** @type {string} */ where) => where.split('/')[1]?.replace(/^plans$/, 'destinations');

function drawShell(/** @type {string} */ where) {
  const me = current();
  nav.hidden = !me;
  account.hidden = !me;
  if (!me) return;
  fill(nav, h('ul', NAVIGATION.filter(([, , role]) => !role || can(role)).map(([name, text]) => h('li', h('a', {
    href: `#/${name}`, 'aria-current': partOf(where) === name ? 'page' : undefined,
  }, text)))));
  const quota = h('div', { class: 'muted' });
  const tell = (/** @type {Me['quota']} */ has) => fill(quota,
    h('p', `${number(has.used)} of ${number(has.runs_an_hour)} runs this hour, ${number(has.used_this_month)} of ${number(has.runs_a_month)} this month`),
    h('p', `${bytes(has.used_bytes)} of ${bytes(has.stored_bytes)} kept`));
  tell(me.quota);
  // Runs were started since.
  const opened = (/** @type {On<Event, HTMLDetailsElement>} */ event) => event.currentTarget.open && load().then(now => tell(now.quota), () => undefined);
  fill(account, h('details', { class: 'menu', onkeydown: closeOnEscape, ontoggle: opened },
    h('summary', h('span', { class: 'account-name' }, me.org.solo ? me.user.name : me.org.name), h('span', { class: 'badge quiet' }, me.role)),
    h('div', { class: 'menu-body' },
      h('p', h('strong', me.user.name), !me.org.solo && [' of ', h('strong', me.org.name)]),
      quota,
      h('p', h('a', { href: '/docs/' }, 'The API')),
      button('Sign out', async () => {
        await signOut().catch(() => forget());
        location.hash = '';
        show();
      }))));
}

function closeOnEscape(/** @type {On<KeyboardEvent, HTMLDetailsElement>} */ event) {
  if (event.key !== 'Escape') return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector('summary')?.focus();
}

function showSignIn(/** @type {unknown} */ error) {
  drawShell('');
  put(sign.view({
    error,
    signedIn: () => {
      announce('Signed in');
      if (!location.hash.startsWith('#/')) history.replaceState(null, '', HOME);
      show();
    },
  }), 'Sign in');
}

async function start() {
  const login = location.hash.match(/^#login=(.+)$/);
  // A code works once; it has no business in the history.
  if (login) history.replaceState(null, '', '/');
  try {
    await (login ? signIn({ login_code: decodeURIComponent(login[1]) }) : load());
  } catch (error) {
    return showSignIn(login || !(error instanceof Problem && error.status === 401) ? error : undefined);
  }
  if (!location.hash.startsWith('#/')) history.replaceState(null, '', HOME);
  return show();
}

window.addEventListener('hashchange', () => {
  if (location.hash.startsWith('#login=')) start();
  else show();
});
window.addEventListener(UNREADABLE, event => {
  for (const { id, place } of /** @type {CustomEvent<Unreadable[]>} */ (event).detail) leftOut.set(id, place);
  fill(unreadable, notice('bad', 'The service cannot read everything that it has stored', h('p', 'Nothing is done with these until its operator has repaired them:'),
    h('ul', [...leftOut].map(([id, place]) => h('li', code(id), ` (${place})`)))));
});
window.addEventListener(SIGNED_OUT, () => {
  if (!current()) return;
  forget();
  leaving.abort();
  visits += 1;
  showSignIn(new Problem({ title: 'You were signed out', detail: 'The session has ended. Sign in again. Plans and runs continue in the meantime.' }));
});
theElement('skip').addEventListener('click', event => {
  // The hash is the router's.
  event.preventDefault();
  focusOn(main.querySelector('h1') ?? main);
});
start();

// Who is signed in, and what they may do. The server decides; the page only leaves out what it would refuse.

import { get, post, remove } from './api.js';

/** @import { Me, Role } from '../types/api' */

/** @type {Record<Role, number>} */
const RANK = { viewer: 1, operator: 2, admin: 3 };
/** @type {Me | null} */
let me = null;

/** Asks the server who this is. Throws where nobody is signed in. */
export async function load() {
  me = await get('/me');
  return me;
}

export const current = () => me;

/** Whether the role suffices. */
export const can = (/** @type {Role} */ role) => me !== null && RANK[me.role] >= RANK[role];

export async function signIn(/** @type {{ api_key: string } | { login_code: string }} */ credentials) {
  await post('/session', { body: credentials });
  return load();
}

export async function signOut() {
  await remove('/session');
  me = null;
}

export function forget() {
  me = null;
}

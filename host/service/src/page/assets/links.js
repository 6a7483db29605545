// Where a record is in its CRM, and what an address says about the account. Only what is certain: otherwise there is no link and no badge.

import { h } from './dom.js';

/** HubSpot's own ids of its standard objects, which its addresses are made of. */
/** @type {Record<string, string>} */
const TYPES = { contacts: '0-1', companies: '0-2', deals: '0-3', tickets: '0-5' };

/**
 * The address of a record in its CRM, or null where it is not certain: another host is a simulator or a proxy.
 *
 * @param {{ provider: string, base_url?: string | null, account?: string | null, object: string }} where
 * @param {string} id
 */
export function recordLink({ provider, base_url: base, account, object }, id) {
  const host = hostOf(base);
  if (provider === 'hubspot' && (!base || host === 'api.hubapi.com')) {
    const type = TYPES[object.toLowerCase()] ?? (/^\d+-\d+$/.test(object) ? object : undefined);
    return type && account && /^\d+$/.test(account) && /^\d+$/.test(id) ? `https://app.hubspot.com/contacts/${account}/record/${type}/${id}` : null;
  }
  if (provider === 'salesforce' && host?.endsWith('.my.salesforce.com')) return /^[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?$/.test(id) ? `https://${host}/${id}` : null;
  return null;
}

/**
 * A record's id, with a link to the record where its address is certain.
 *
 * @param {Parameters<typeof recordLink>[0]} where
 * @param {string} id
 */
export function recordId(where, id) {
  const href = recordLink(where, id);
  return href ? h('a', { href, target: '_blank', rel: 'noreferrer', title: 'Open the record in the CRM' }, h('code', id)) : h('code', id);
}

/** What kind of org an address of Salesforce names, where that is not production. */
export function sandboxOf(/** @type {string | null | undefined} */ base) {
  const kind = hostOf(base)?.match(/\.(sandbox|develop|scratch|trailblaze)\.my\.salesforce\.com$/)?.[1];
  return kind === 'sandbox' ? 'Sandbox' : kind === 'develop' ? 'Developer edition' : kind === 'scratch' ? 'Scratch org' : kind === 'trailblaze' ? 'Trailhead playground' : null;
}

/** The host of an address, or null. */
export function hostOf(/** @type {string | null | undefined} */ base) {
  try {
    return base ? new URL(base).host : null;
  } catch {
    return null;
  }
}

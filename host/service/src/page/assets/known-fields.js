// What is known about a CRM's fields before anybody has asked it: the standard ones, by the vendors' documentation, and what plans that asked
// the CRM have told since. The contract between host and plugin has no list of a CRM's fields, so this is a help and not a limit.

/** @import { Destination, Plan } from '../types/api' */

/** @typedef {{ name: string, label?: string, type?: string, verdict?: 'written' | 'read_only' | 'unknown_field', also?: string[] }} KnownField `verdict` is the CRM's, in a plan that asked it. */

/** @typedef {[name: string, label: string, type: string, also?: string[]]} Standard `also`: what columns for it are called otherwise, in plain letters and digits. */

/** @type {Standard[]} */
const CONTACTS = [
  ['salutation', 'Salutation', 'text'], ['firstname', 'First name', 'text', ['givenname', 'forename', 'first']], ['lastname', 'Last name', 'text', ['surname', 'familyname', 'last']],
  ['email', 'Email', 'text', ['emailaddress', 'mail']], ['phone', 'Phone number', 'text', ['telephone', 'tel']], ['mobilephone', 'Mobile phone number', 'text', ['mobile', 'cell', 'cellphone']],
  ['company', 'Company name', 'text', ['organisation', 'organization', 'employer']], ['jobtitle', 'Job title', 'text', ['title', 'position']], ['address', 'Street address', 'text', ['street']],
  ['city', 'City', 'text', ['town']], ['state', 'State/Region', 'text', ['stateregion', 'region', 'province']], ['zip', 'Postal code', 'text', ['zipcode', 'postcode']],
  ['country', 'Country/Region', 'text', ['countryregion']], ['website', 'Website URL', 'text', ['url', 'homepage']], ['fax', 'Fax number', 'text'],
  ['lifecyclestage', 'Lifecycle stage', 'choice'],
];
/** @type {Standard[]} */
const COMPANIES = [
  ['name', 'Company name', 'text', ['company', 'organisation', 'organization']], ['domain', 'Company domain name', 'text', ['companydomain']], ['phone', 'Phone number', 'text', ['telephone', 'tel']],
  ['address', 'Street address', 'text', ['street']], ['address2', 'Street address 2', 'text', ['street2']], ['city', 'City', 'text', ['town']], ['state', 'State/Region', 'text', ['stateregion', 'region', 'province']],
  ['zip', 'Postal code', 'text', ['zipcode', 'postcode']], ['country', 'Country/Region', 'text', ['countryregion']], ['website', 'Website URL', 'text', ['url', 'homepage']], ['industry', 'Industry', 'choice'],
  ['description', 'Description', 'text'], ['numberofemployees', 'Number of employees', 'number', ['employees']], ['annualrevenue', 'Annual revenue', 'number', ['revenue']],
];
/** @type {Standard[]} */
const CONTACT = [
  ['Salutation', 'Salutation', 'picklist'], ['FirstName', 'First Name', 'text', ['givenname', 'forename', 'first']], ['LastName', 'Last Name', 'text', ['surname', 'familyname', 'last']],
  ['Email', 'Email', 'email', ['emailaddress', 'mail']], ['Phone', 'Business Phone', 'phone', ['telephone', 'tel']], ['MobilePhone', 'Mobile', 'phone', ['cell', 'cellphone']],
  ['HomePhone', 'Home Phone', 'phone'], ['Fax', 'Business Fax', 'phone'], ['Title', 'Title', 'text', ['jobtitle', 'position']], ['Department', 'Department', 'text'], ['Birthdate', 'Birthdate', 'date', ['birthday', 'dateofbirth']],
  ['MailingStreet', 'Mailing Street', 'text', ['street', 'address']], ['MailingCity', 'Mailing City', 'text', ['city', 'town']], ['MailingState', 'Mailing State/Province', 'text', ['state', 'region', 'province']],
  ['MailingPostalCode', 'Mailing Zip/Postal Code', 'text', ['zip', 'zipcode', 'postcode', 'postalcode']], ['MailingCountry', 'Mailing Country', 'text', ['country']],
];
/** @type {Standard[]} */
const ACCOUNT = [
  ['Name', 'Account Name', 'text', ['company', 'companyname', 'organisation', 'organization']], ['Phone', 'Account Phone', 'phone', ['telephone', 'tel']], ['Fax', 'Account Fax', 'phone'], ['Website', 'Website', 'url', ['url', 'homepage', 'domain']],
  ['Industry', 'Industry', 'picklist'], ['Description', 'Account Description', 'long text'], ['NumberOfEmployees', 'Employees', 'number'], ['AnnualRevenue', 'Annual Revenue', 'currency', ['revenue']],
  ['BillingStreet', 'Billing Street', 'text', ['street', 'address']], ['BillingCity', 'Billing City', 'text', ['city', 'town']], ['BillingState', 'Billing State/Province', 'text', ['state', 'region', 'province']],
  ['BillingPostalCode', 'Billing Zip/Postal Code', 'text', ['zip', 'zipcode', 'postcode', 'postalcode']], ['BillingCountry', 'Billing Country', 'text', ['country']],
];
/** @type {Record<string, Record<string, Standard[]>>} */
const STANDARD = { hubspot: { contacts: CONTACTS, companies: COMPANIES }, salesforce: { contact: CONTACT, account: ACCOUNT } };

/** What columns of record ids are called, the surest name first. */
/** @type {Record<string, string[]>} */
const IDS = {
  hubspot: ['hsobjectid', 'recordid', 'hubspotid', 'contactid', 'companyid', 'vid', 'id'],
  salesforce: ['salesforceid', 'sfid', 'recordid', 'contactid', 'accountid', 'leadid', 'id'],
};

/** A name in plain letters and digits: `First Name`, `first_name` and `FirstName` are one. */
const plain = (/** @type {string} */ name) => name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '');

/** Columns that are never written: the resolver's own. */
export const isInternal = (/** @type {string} */ column) => column.startsWith('__');

/** The column that most likely holds the CRM's record ids. */
export function idColumn(/** @type {string} */ provider, /** @type {string[]} */ columns) {
  for (const name of IDS[provider] ?? []) {
    const found = columns.find(column => plain(column) === name);
    if (found) return found;
  }
  return undefined;
}

/**
 * The fields of an object as far as they are known: the standard ones, and what the plans say that asked this source's CRM. The newest
 * plan has the word.
 *
 * @param {string} provider
 * @param {string} object
 * @param {string | undefined} source
 * @param {Destination[]} destinations
 * @param {Plan[]} plans The newest first.
 * @returns {Map<string, KnownField>}
 */
export function knownFields(provider, object, source, destinations, plans) {
  /** @type {Map<string, KnownField>} */
  const known = new Map((STANDARD[provider]?.[object.toLowerCase()] ?? []).map(([name, label, type, also]) => [name, { name, label, type, also }]));
  const fitting = new Map(destinations.filter(each => source && each.config_json.source_id === source && objectOf(each, object) === object).map(each => [each.id, each]));
  for (const plan of plans) {
    const destination = fitting.get(plan.destination_id);
    if (!destination || plan.mode === 'offline' || plan.undoes) continue;
    for (const [name, verdict] of verdicts(plan, destination.config_json.fields)) {
      const field = known.get(name) ?? { name };
      if (!field.verdict) known.set(name, { ...field, verdict });
    }
  }
  return known;
}

const objectOf = (/** @type {Destination} */ { config_json: config }, /** @type {string} */ otherwise) => (typeof config.object === 'string' ? config.object : otherwise);

/**
 * What the CRM said of each field in a plan that asked it. Columns are told by their own names.
 *
 * @param {Plan} plan
 * @param {unknown} mapping `fields` of its destination.
 * @returns {[string, NonNullable<KnownField['verdict']>][]}
 */
function verdicts(plan, mapping) {
  const fieldOf = new Map(mapping && typeof mapping === 'object' && !Array.isArray(mapping) ? Object.entries(mapping).map(([column, field]) => [column, String(field)]) : []);
  /** @type {[string, NonNullable<KnownField['verdict']>][]} */
  const said = Object.keys(plan.fields).map(name => [name, 'written']);
  for (const { name, reason } of plan.dropped_fields) {
    if (reason === 'read_only' || reason === 'unknown_field') said.push([fieldOf.get(name) ?? name, reason]);
  }
  return said;
}

/**
 * The field that a column is for, by its name: the field's own name, its label, or what such columns are often called.
 *
 * @param {string} column
 * @param {Map<string, KnownField>} known
 */
export function fieldFor(column, known) {
  const name = plain(column);
  const may = [...known.values()].filter(field => field.verdict !== 'read_only' && field.verdict !== 'unknown_field');
  return (may.find(field => field.name === column) ?? may.find(field => plain(field.name) === name || (field.label && plain(field.label) === name)) ?? may.find(field => field.also?.includes(name)))?.name;
}

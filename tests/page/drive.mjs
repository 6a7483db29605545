// Drives the page in a real Chromium, from signing in to undo and the audit log, and looks at each view with axe.
//
//   node drive.mjs --url http://127.0.0.1:8080 --login URL|CODE | --api-key rsk_… --simulator http://127.0.0.1:8099 --out DIR
//
// The server is fresh and its key is an admin's; the simulator has at least as many HubSpot contacts as crm.mjs says (--hubspot-contacts).
// Screenshots of each step are in DIR afterwards. CHROMIUM names another browser.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Browser } from './browser.mjs';
import { Crm, RECORDS, WITHOUT_ID, goldenCsv, idOf } from './crm.mjs';
import { check, onThe } from './person.mjs';
import { DESKTOP, STORIES, story } from './story.mjs';

const { values: given } = parseArgs({ options: { url: { type: 'string' }, login: { type: 'string' }, 'api-key': { type: 'string' }, simulator: { type: 'string' }, out: { type: 'string' } } });
if (!given.url || !given.simulator || !given.out || !(given.login || given['api-key'])) {
  console.error('usage: node drive.mjs --url URL (--login LINK | --api-key KEY) --simulator URL --out DIR');
  process.exit(2);
}

const crm = new Crm(given.simulator);
const url = given.url.replace(/\/$/, '');
await mkdir(given.out, { recursive: true });
const browser = await Browser.start(url, given.out);
const { page } = browser;
const { addsUp, button, ended, figure, h1, nav, panel } = onThe(page);
const results = [];
const seen = {};

/** A step. When one has failed the others would only repeat it. */
async function step(name, work) {
  if (results.some(({ error }) => error)) return;
  const began = performance.now();
  let error;
  try {
    await work();
    if (browser.wrongs.length) throw new Error(browser.wrongs.splice(0).join('\n'));
  } catch (caught) {
    error = caught;
    await browser.shot(`failed-${results.length + 1}`).catch(() => {});
  }
  results.push({ name, error });
  console.log(`${error ? 'not ok' : 'ok'} ${results.length} - ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  if (error) console.log([error.stack ?? error, ...browser.wrongs.splice(0)].join('\n').replace(/^/gm, '#   '));
}

/** Looks at a view as it is now. */
async function look(name, how) {
  await page.locator('main:not([aria-busy="true"])').waitFor();
  await browser.shot(name);
  for (const minor of await browser.axe(name, how)) console.log(`# ${minor}`);
}

await step('a wrong key is refused in words, the right one signs in', async () => {
  browser.expectStatus(401, '/me');
  await page.goto(url);
  await h1('Sign in');
  await look('sign-in');
  browser.expectStatus(401, '/session');
  await page.getByLabel('API key').fill('rsk_nobody_nothing');
  await button('Sign in').click();
  await page.getByRole('alert').waitFor();
  await look('sign-in-refused');
  if (given['api-key']) {
    await page.getByLabel('API key').fill(given['api-key']);
    await button('Sign in').click();
  } else {
    const code = given.login.split('#login=').pop();
    await page.goto(`${url}/#login=${code}`);
    await h1('Destinations');
    check(!page.url().includes('login'), 'the code stays in the address');
  }
  await h1('Destinations');
  const steps = panel('First steps').getByRole('listitem');
  check((await steps.count()) === 4 && (await steps.filter({ hasText: '(done)' }).count()) === 0, 'the first steps are not there, or done already');
  await steps.first().getByRole('link', { name: 'Connect a source' }).waitFor();
  await look('destinations-empty');
});

await step('the skip link goes past the navigation', async () => {
  await page.reload();
  await h1('Destinations');
  await page.keyboard.press('Tab');
  check(await page.locator('#skip').evaluate(element => element === document.activeElement && element.getBoundingClientRect().top >= 0), 'the first stop is not the skip link, or it cannot be seen');
  await page.keyboard.press('Enter');
  check(await page.evaluate(() => document.activeElement.closest('main') !== null), 'the focus is not in the content');
  check(new URL(page.url()).hash === '#/destinations', 'the skip link left the view');
});

await step('a source is connected, and its secret does not come back', async () => {
  await nav('Sources').click();
  await page.getByRole('link', { name: 'New source' }).click();
  await h1('New source');
  await page.getByLabel('Name', { exact: true }).fill('Production HubSpot');
  await page.getByLabel('Address', { exact: true }).fill(given.simulator);
  await page.getByRole('radio', { name: 'OAuth' }).check();
  await page.getByLabel('Grant').selectOption('jwt_bearer');
  await look('source-form-oauth');
  await page.getByRole('radio', { name: 'Access token' }).check();
  const secret = page.getByLabel('Access token', { exact: true }).last();
  check((await secret.getAttribute('type')) === 'password', 'the token can be read over a shoulder');
  await secret.fill('test-token');
  await look('source-form');
  // All that is missing is said at once, in the words of the form.
  await page.getByLabel('Name', { exact: true }).fill('');
  await secret.fill('');
  await button('Connect source').click();
  check((await page.locator('.field-error:not(:empty)').allInnerTexts()).join() === 'Name is required.,Access token is required.', 'not all that is missing is said');
  await page.getByLabel('Name', { exact: true }).fill('Production HubSpot');
  await secret.fill('test-token');
  await page.getByLabel('Address', { exact: true }).fill(new URL(given.simulator).host);
  browser.expectStatus(422, '/sources');
  await button('Connect source').click();
  await page.locator('.field-error', { hasText: /^“Address” is not a URL/ }).waitFor();
  check(!(await page.locator('main').innerText()).includes('base_url'), 'a key of the API is among the words of the form');
  await page.getByLabel('Address', { exact: true }).fill(given.simulator);
  await button('Connect source').click();
  await h1('Sources');
  await page.getByRole('heading', { name: 'Production HubSpot' }).waitFor();
  // It was checked when it was saved, and the result stays.
  const kept = page.locator('.notice', { hasText: 'HubSpot takes the credential' });
  await kept.getByText(/Reached/).waitFor();
  await page.reload();
  await h1('Sources');
  await kept.locator('time').waitFor();
  await look('source-checked');
  await page.getByRole('link', { name: 'Edit Production HubSpot' }).click();
  await h1('Edit Production HubSpot');
  check(!(await page.content()).includes('test-token'), 'the token came back');
  check(/^\d+$/.test(await page.getByLabel('Account (optional)', { exact: true }).inputValue()), 'the check has not found out the account');
  await page.getByLabel('Address', { exact: true }).fill(given.simulator.replace('127.0.0.1', 'localhost'));
  browser.expectStatus(422, '/sources/');
  await button('Save').click();
  await page.getByText('You changed the address. For safety the stored credential is not sent there').waitFor();
  check(await page.getByLabel('Access token', { exact: true }).last().evaluate(element => element === document.activeElement), 'the focus is not where the credential is entered');
});

await step('a check that fails says what happened and what to do, and folds the details', async () => {
  await crm.fault({ fault: 'expired_token' });
  await nav('Sources').click();
  await h1('Sources');
  await button('Check').click();
  const found = page.locator('.notice.bad', { hasText: 'HubSpot does not take the credential' });
  await found.waitFor();
  await crm.noFaults();
  const words = await found.innerText();
  check(words.includes('Private Apps') && !/plan again|same plan/.test(words) && words.length < 400, `the check says: ${words}`);
  await found.getByRole('link', { name: 'Edit the source' }).waitFor();
  await found.getByText('Details').click();
  await look('source-check-failed');
  await button('Check').click();
  await page.locator('.notice', { hasText: 'HubSpot takes the credential' }).waitFor();
});

await step('an address of a record is offered only where it is certain', async () => {
  const addresses = await page.evaluate(async () => {
    const { recordLink, sandboxOf } = await import('/assets/links.js');
    const hubspot = { provider: 'hubspot', base_url: 'https://api.hubapi.com', account: '1234567', object: 'contacts' };
    const salesforce = { provider: 'salesforce', base_url: 'https://acme.my.salesforce.com', account: null, object: 'Contact' };
    return [
      recordLink(hubspot, '31200004411'), recordLink({ ...hubspot, object: '2-3' }, '7'), recordLink({ ...hubspot, object: 'pets' }, '7'), recordLink({ ...hubspot, account: null }, '7'), recordLink({ ...hubspot, base_url: 'http://127.0.0.1:1' }, '7'),
      recordLink(salesforce, '003xx000004TmiQAAS'), recordLink({ ...salesforce, base_url: 'https://example.com' }, '003xx000004TmiQAAS'), recordLink(salesforce, '../x'),
      sandboxOf('https://acme--dev.sandbox.my.salesforce.com'), sandboxOf('https://acme.my.salesforce.com'), sandboxOf('https://api.hubapi.com'),
    ];
  });
  const expected = ['https://app.hubspot.com/contacts/1234567/record/0-1/31200004411', 'https://app.hubspot.com/contacts/1234567/record/2-3/7', null, null, null, 'https://acme.my.salesforce.com/003xx000004TmiQAAS', null, null, 'Sandbox', null, null];
  check(same(addresses, expected), `the addresses are ${JSON.stringify(addresses)}`);
});

await step('golden records are uploaded, and a file of another kind is not', async () => {
  const file = path.join(given.out, 'golden.csv');
  await writeFile(file, goldenCsv());
  await nav('Golden records').click();
  await h1('Golden records');
  await look('golden-empty');
  await page.getByLabel('Entity type').fill('person');
  check((await button('Replace golden records').count()) === 0, 'there is nothing to replace yet');
  await page.getByLabel('File', { exact: true }).setInputFiles({ name: 'golden.xlsx', mimeType: 'application/octet-stream', buffer: Buffer.from('x') });
  await button('Upload golden records').click();
  await page.getByText('golden.xlsx is not a .csv').waitFor();
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await button('Upload golden records').click();
  await page.getByRole('row', { name: new RegExp(`person.*${(RECORDS + WITHOUT_ID).toLocaleString('en')}`) }).waitFor();
  await look('golden');
  await nav('Destinations').click();
  await h1('Destinations');
  check((await panel('First steps').getByRole('listitem').filter({ hasText: '(done)' }).count()) === 2, 'two of the first steps are done');
  await look('first-steps');
});

for (const each of STORIES) await step(each.name, () => story(browser, crm, each));
await page.setViewportSize(DESKTOP);

await step('a destination is made through the form, its errors at their fields', async () => {
  await nav('Destinations').click();
  await page.getByRole('link', { name: 'New destination' }).click();
  await h1('New destination');
  await button('Create destination').click();
  const missing = await page.locator('#main .field-error:not(:empty)').allInnerTexts();
  check(missing.includes('Name is required.') && missing.includes('Entity type is required.') && missing.includes('Record id column is required.'), `of what is missing the form says ${missing}`);
  await page.getByLabel('Name', { exact: true }).fill('HubSpot reverse');
  await page.getByLabel('Entity type').fill('person');
  // The only source is chosen, the column of record ids is found by its name, and so are the fields.
  check((await page.getByLabel('Source', { exact: false }).first().inputValue()).startsWith('src_'), 'the only source is not chosen');
  check((await page.getByLabel(/^Record id column/).inputValue()) === 'hs_object_id', 'the column of record ids is not found');
  const mapping = page.getByRole('group', { name: 'Mapping', exact: true }).last();
  check((await mapping.getByLabel('Field for city').inputValue()) === 'city' && (await mapping.getByText('Job title, text').count()) === 1, 'the columns are not matched with the fields, or these have no labels');
  check((await mapping.locator('.map-row.unmapped', { hasText: 'hs_object_id' }).count()) === 1, 'the column of record ids could be mapped');
  await look('destination-form-mapping');
  await button('Write none').click();
  await button('Create destination').click();
  await page.getByText('Give at least one column a field').waitFor();
  await button('Match by name').click();
  await page.getByLabel(/^Record id column/).fill('hs_object_id2');
  await page.getByLabel(/^Record id column/).fill('hs_object_id');
  // What only the service judges is shown where it is, in the same words.
  await page.getByText(/^Values/).first().click();
  await page.getByLabel('Time zone').fill('Paris');
  browser.expectStatus(422, '/destinations');
  await button('Create destination').click();
  await page.locator('#main [aria-invalid="true"]').waitFor();
  const wrong = await page.evaluate(() => document.querySelector(`label[for="${document.activeElement.id}"] code`)?.textContent);
  check(wrong === 'time_zone', `the focus is on ${wrong}, not where the error is`);
  await look('destination-form-refused');
  await page.getByLabel('Time zone').fill('');
  check((await page.locator('#main [aria-invalid="true"], #main [role="alert"]').count()) === 0, 'what was put right is still called wrong');
  await mapping.getByLabel('Field for jobtitle').fill('title');
  await page.getByText(/^Care/).first().click();
  // Settings about what is written speak of the CRM's fields, not of columns.
  const fillOnly = page.getByRole('combobox', { name: 'Add to Fill only' });
  const offered = async () => {
    await page.getByLabel('Name', { exact: true }).focus();
    await fillOnly.focus();
    return fillOnly.evaluate(element => [...element.list.options].map(option => option.value).join());
  };
  check((await offered()) === 'firstname,city,title', `for a mapped column, Fill only offers ${await offered()}`);
  await page.getByLabel('Another golden column').fill('jobtitel');
  await page.keyboard.press('Enter');
  await mapping.getByText('The golden records have no such column.').waitFor();
  await mapping.getByLabel('Field for jobtitel').fill('');
  await mapping.getByLabel('Field for jobtitle').fill('jobtitle');
  check((await offered()) === 'firstname,city,jobtitle', `for a list of fields, Fill only offers ${await offered()}`);
  await browser.shot('destination-form');
  // All keys of the schema can be edited: one of each kind, changed here and looked for in the JSON.
  await page.getByText(/^Requests/).first().click();
  await button('Add a row to Value map').click();
  await page.getByLabel('Value map: name').fill('jobtitle');
  await button('Add a row to Value map: value').click();
  await page.getByLabel('Value map: value: name').fill('Prospect');
  await page.getByLabel('Value map: value: value').fill('lead');
  await page.getByLabel('In flight').fill('2');
  await page.getByLabel('Null policy: kind').selectOption({ label: 'One for each name' });
  await button('Add a row to Null policy').click();
  await page.getByLabel('Null policy: name').fill('city');
  await page.getByLabel('Null policy: value').selectOption('clear');
  const json = await asJson();
  const { source_id: _, ...config } = json.config_json;
  const expected = { provider_id_field: 'hs_object_id', fields: ['firstname', 'city', 'jobtitle'], in_flight: 2, value_map: { jobtitle: { Prospect: 'lead' } }, null_policy: { city: 'clear' } };
  check(same(config, expected), `the form came to ${JSON.stringify(config)}`);
  await look('destination-form-all');
  await button('Create destination').click();
  await h1('HubSpot reverse');
  await panel('Mapping').getByRole('row', { name: /jobtitle.*Job title/ }).waitFor();
  check(!/[{}]/.test(await panel('Configuration').innerText()), 'the configuration is shown as JSON');
  // The source was checked, so the dry run that shows most is chosen.
  check(await page.getByRole('radio', { name: 'Compare' }).isChecked(), 'Compare is not chosen');
  await look('destination');
});

async function asJson() {
  await page.getByText('As JSON').click();
  const shown = page.getByLabel('The destination as JSON');
  await shown.filter({ hasText: '{' }).waitFor();
  return JSON.parse(await shown.innerText());
}

function same(a, b) {
  const sorted = value => JSON.stringify(value, (_, inner) => (inner && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner));
  return sorted(a) === sorted(b);
}

await step('a destination that is edited keeps what it had', async () => {
  await page.getByRole('link', { name: 'Edit', exact: true }).click();
  await h1('Edit HubSpot reverse');
  const before = await asJson();
  check(before.config_json.in_flight === 2 && same(before.config_json.value_map, { jobtitle: { Prospect: 'lead' } }), `the form lost something: ${JSON.stringify(before.config_json)}`);
  await button('Remove this row of Value map').click();
  await button('Remove this row of Null policy').click();
  await button('Save').click();
  await h1('HubSpot reverse');
  check(!(await panel('Configuration').innerText()).includes('Value map'), 'the value map is still there');
});

await step('a dry run that compares shows counts, reasons, guards and values before and after', async () => {
  seen.before = await crm.contact(5);
  await page.getByRole('radio', { name: 'Compare' }).check();
  await button('Dry run').click();
  await h1('Plan for HubSpot reverse');
  const counts = panel('What would happen');
  check((await figure(counts, 'golden records')) === RECORDS + WITHOUT_ID, 'the total is wrong');
  check((await figure(counts, 'would be updated')) + (await figure(counts, 'would be skipped')) === RECORDS + WITHOUT_ID, 'the counts do not add up');
  await counts.getByText('without a provider id').waitFor();
  seen.writable = await figure(counts, 'would be updated');
  check(seen.writable >= 1_000, `${seen.writable} records are not enough to have to type their number`);
  await panel('Guards').getByText('hold other values').waitFor();
  await counts.getByText('Which records').click();
  await counts.getByRole('row').nth(1).waitFor();
  const first = panel('Changes').locator('details.line').first();
  await first.locator('summary').click();
  await first.locator('details.long').first().getByText('show all').click();
  await look('plan');
});

await step('the changes are filtered by field and by provider id, and paged', async () => {
  const changes = panel('Changes');
  await changes.getByLabel('Field', { exact: true }).selectOption('firstname');
  await changes.getByRole('table', { name: 'Changes of firstname' }).waitFor();
  const fields = await changes.locator('tbody td[data-label="Field"]').allInnerTexts();
  check(fields.length > 0 && fields.every(name => name === 'firstname'), `other fields are shown: ${fields}`);
  check(page.url().includes('field=firstname'), 'the filter is not in the address');
  await browser.shot('plan-filtered');
  await changes.getByLabel('Field', { exact: true }).selectOption('');
  await changes.getByRole('list', { name: 'Changes', exact: true }).waitFor();
  await changes.getByLabel('Provider id').fill(idOf(5));
  await button('Filter').click();
  await page.waitForFunction(() => document.querySelectorAll('details.line').length === 1);
  const [city] = await changes.locator('tr', { hasText: 'city' }).locator('td[data-label="Before"]').allInnerTexts();
  check(city === (seen.before.city || 'empty'), `the value before is shown as ${city}, and the CRM holds ${seen.before.city}`);
  await changes.getByLabel('Provider id').fill('');
  await button('Filter').click();
  await page.waitForFunction(() => document.querySelectorAll('details.line').length > 1);
  const first = await changes.locator('.line-id code').first().innerText();
  await changes.getByRole('button', { name: 'Next page' }).click();
  await changes.getByText('Page 2').waitFor();
  check((await changes.locator('.line-id code').first().innerText()) !== first, 'the second page is the first');
  await changes.getByRole('button', { name: 'Previous page' }).click();
  await page.waitForFunction(id => document.querySelector('.line-id code')?.textContent === id, first);
});

await step('a confirmation by keyboard alone: guard, number, yes', async () => {
  // What happens in the CRM between plan and yes: one record is gone, another one is changed by somebody.
  await crm.archive(11);
  await crm.change(13, { city: 'Elsewhere' });
  await crm.fault({ fault: { latency: 700 }, path: '/batch/update' });
  await page.reload();
  await h1('Plan for HubSpot reverse');
  const update = button(/^Update [\d,]+ records…$/);
  await browser.tabTo(update);
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('A guard holds this plan back').waitFor();
  const boxes = await panel('Guards').getByRole('checkbox').all();
  check(await boxes[0].evaluate(element => element === document.activeElement), 'the focus is not on the guard');
  for (const box of boxes) {
    await browser.tabTo(box);
    await page.keyboard.press('Space');
    check(await box.isChecked(), 'the space bar does not tick it');
  }
  await browser.tabTo(update);
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await dialog.waitFor();
  const number = seen.writable.toLocaleString('en');
  const where = await dialog.locator('.target').innerText();
  check(/HubSpot account\s+2222222/.test(where) && where.includes('Production HubSpot') && where.includes(new URL(given.simulator).host), `the dialog says of where: ${where}`);
  check((await dialog.innerText()).includes(number) && (await dialog.innerText()).includes('max_changed_percent'), 'the dialog does not repeat the numbers and the guards');
  await browser.tabTo(dialog.getByRole('textbox'));
  await page.keyboard.type('999');
  await page.keyboard.press('Enter');
  await dialog.getByText('Nothing was written. Type the number').waitFor();
  await look('confirm-refused');
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  check(await update.evaluate(element => element === document.activeElement), 'the focus is not back where it was');
  await page.keyboard.press('Enter');
  await dialog.waitFor();
  await browser.tabTo(dialog.getByRole('textbox'));
  await page.keyboard.type(String(seen.writable));
  await look('confirm');
  await browser.tabTo(dialog.getByRole('button', { name: /^Update/ }));
  await page.keyboard.press('Enter');
  await h1(/^Run run_/);
  seen.run = new URL(page.url()).hash.split('/').pop();
});

await step('the run is followed live, to counts that add up', async () => {
  await page.evaluate(() => {
    globalThis.pendings = new Set();
    const look = () => globalThis.pendings.add(document.querySelector('.progress progress')?.value);
    look();
    new MutationObserver(look).observe(document.querySelector('main'), { subtree: true, childList: true });
  });
  await page.locator('.progress').waitFor();
  await browser.shot('run-live');
  // The visible rows move with the counts, and it says how long it takes yet.
  await page.waitForFunction(() => document.querySelector('.progress progress')?.value >= 100 && document.querySelectorAll('.dot-updated + *, .outcome').length > 0 && [...document.querySelectorAll('tbody td[data-label="Outcome"]')].some(cell => cell.textContent === 'updated'));
  await page.getByText(/about .* left/).waitFor();
  await ended(/^Completed with \d+ problems$/);
  await crm.noFaults();
  const steps = await page.evaluate(() => globalThis.pendings.size);
  check(steps >= 3, `progress was shown ${steps} times only`);
  const progress = panel('Progress');
  await addsUp();
  check((await figure(progress, 'failed')) >= 1, 'the archived record is not among the failed');
  check((await figure(progress, 'drifted')) === 1, 'the changed record is not among the drifted');
  const chart = page.getByRole('img', { name: /^Calls in 10 seconds/ });
  check(/at most in any 10 seconds\. The limit is 190 in any 10 seconds/.test(await chart.getAttribute('aria-label')), `the chart says ${await chart.getAttribute('aria-label')}`);
  check(/\d+ calls? in \d+ seconds?/.test(await chart.getAttribute('aria-label')), 'the chart has no words');
  check((await chart.locator('rect').count()) > 0 && (await chart.locator('.limit-line').count()) === 1, 'the chart has no bars or no limit');
  await look('run-ended');
});

await step("outcomes are filtered, with the CRM's own words", async () => {
  const outcomes = panel('Outcomes');
  await outcomes.getByLabel('Outcome', { exact: true }).selectOption('failed');
  const row = outcomes.getByRole('row', { name: idOf(11) });
  await row.waitFor();
  check((await outcomes.locator('tbody td[data-label="Outcome"]').allInnerTexts()).every(text => text.trim() === 'failed'), 'others than failed are shown');
  check((await row.locator('td').last().innerText()).trim().length > 10, 'there is no word of the CRM');
  await page.getByText('Show the request log').click();
  await panel('Requests').getByRole('row', { name: /batch\/update/ }).first().waitFor();
  await look('run-outcomes');
});

await step('the rejects are downloaded', async () => {
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download rejects' }).click()]);
  const file = path.join(given.out, 'rejects.csv');
  await download.saveAs(file);
  const text = await readFile(file, 'utf8');
  check(text.includes(idOf(11)) && text.includes(idOf(13)), 'the rejects lack the failed or the drifted record');
});

await step('a plan that was written is not offered again', async () => {
  await panel('About this run').getByRole('link', { name: /^plan_/ }).click();
  await h1('Plan for HubSpot reverse');
  await page.getByText('This plan was confirmed already').waitFor();
  check((await button(/^Update/).count()) === 0, 'it could be confirmed once more');
  await browser.shot('plan-confirmed');
  await page.getByRole('link', { name: seen.run }).click();
  await h1(/^Run run_/);
});

await step('undo is planned, confirmed and read back', async () => {
  await button('Undo…').click();
  await h1(/^Plan to undo run_/);
  const back = await figure(panel('What would happen'), 'would be put back');
  await browser.shot('undo-plan');
  for (const box of await page.locator('.guards input[type=checkbox]').all()) await box.check();
  await button(/^Put back [\d,]+ records…$/).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('Canary and reading back').click();
  await dialog.getByRole('checkbox', { name: 'Canary' }).check();
  await dialog.getByLabel('Records in the canary').fill('20');
  await dialog.getByRole('radio', { name: 'A sample of 100' }).check();
  await dialog.getByRole('textbox').last().fill(String(back));
  await look('undo-confirm');
  await dialog.getByRole('button', { name: /^Put back/ }).click();
  await h1(/^Run run_/);
  await ended('Succeeded');
  await addsUp();
  await page.getByText('Canary: the first 20 records hold what was written').waitFor();
  await page.getByText(/^Read back: 100 of 100 records/).waitFor();
  await look('undo-run');
  const now = await crm.contact(5);
  check((now.city ?? '') === (seen.before.city ?? ''), `the record holds ${now.city}, and held ${seen.before.city} before`);
});

await step('a run that the CRM does not authorize says which rights it needs, and is resumed', async () => {
  await openDestination();
  await page.getByRole('radio', { name: 'Offline' }).check();
  await button('Dry run').click();
  await h1('Plan for HubSpot reverse');
  await page.getByText('The previous values are not known').waitFor();
  await browser.shot('plan-offline');
  await crm.fault({ fault: 'expired_token' });
  await confirmAll();
  await ended('Stopped');
  await page.getByText('The credential needs:').waitFor();
  await look('run-unauthorized');
  await crm.noFaults();
  await button('Resume').click();
  await ended(/^(Succeeded|Completed with \d+ problems?)$/);
  await addsUp();
});

async function openDestination() {
  await nav('Destinations').click();
  await h1('Destinations');
  await page.getByRole('link', { name: 'HubSpot reverse' }).click();
  await h1('HubSpot reverse');
}

async function confirmAll({ canary } = {}) {
  for (const box of await page.locator('.guards input[type=checkbox]').all()) await box.check();
  const yes = button(/^Update [\d,]+ records…$/);
  const many = (await yes.innerText()).match(/[\d,]+/)[0];
  await yes.click();
  const dialog = page.getByRole('dialog');
  if (canary) {
    await dialog.getByText('Canary and reading back').click();
    await dialog.getByRole('checkbox', { name: 'Canary' }).check();
    await dialog.getByLabel('Records in the canary').fill(String(canary));
  }
  if (await dialog.getByLabel(/^Type/).count()) await dialog.getByLabel(/^Type/).fill(many);
  await dialog.getByRole('button', { name: /^Update/ }).click();
  await h1(/^Run run_/);
}

await step('a run with a canary is cancelled, and resumed', async () => {
  const file = path.join(given.out, 'newer.csv');
  await writeFile(file, goldenCsv({ word: 'Newer' }));
  await nav('Golden records').click();
  await h1('Golden records');
  const before = await page.getByRole('row', { name: /^person/ }).innerText();
  await page.getByLabel('Entity type').fill('person');
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await button('Replace golden records').click();
  await page.waitForFunction(was => [...document.querySelectorAll('main tbody tr')].some(row => row.innerText.startsWith('person') && row.innerText !== was), before);
  await openDestination();
  await page.getByRole('radio', { name: 'Compare' }).check();
  await button('Dry run').click();
  await h1('Plan for HubSpot reverse');
  check((await figure(panel('What would happen'), 'would be updated')) >= 1_000, 'there is too little to cancel');
  await crm.fault({ fault: { latency: 900 }, path: '/batch/update' });
  await confirmAll({ canary: 20 });
  const progress = panel('Progress');
  await progress.getByText('Canary: the first 20 records are written and read back before the others').waitFor();
  await page.waitForFunction(() => document.querySelector('.progress progress')?.value > 20);
  await look('run-live-canary');
  await button('Cancel run').click();
  await ended('Stopped');
  await crm.noFaults();
  await page.getByText('Stopped: cancelled').waitFor();
  await progress.getByText('hold what was written, so the others followed').waitFor();
  check((await figure(progress, 'updated')) > 20 && (await figure(progress, 'pending')) > 0, 'it was not stopped in the middle');
  await addsUp();
  await browser.shot('run-cancelled');
  await button('Resume').click();
  await ended(/^(Succeeded|Completed with \d+ problems?)$/);
  check((await progress.locator('.sum li', { hasText: 'pending' }).count()) === 0, 'something is pending after the resumed run');
  await addsUp();
});

await step('the same plan again has nothing to write, and says why', async () => {
  await openDestination();
  await page.getByRole('radio', { name: 'Compare' }).check();
  await button('Dry run').click();
  await h1('Plan for HubSpot reverse');
  await page.getByText('Nothing is left to write').waitFor();
  check((await button(/^Update/).count()) === 0, 'there is a button to write nothing');
  await look('plan-nothing');
});

await step('runs and the audit log tell all of it', async () => {
  await nav('Runs').click();
  await h1('Runs');
  await page.getByRole('row', { name: seen.run }).first().waitFor();
  await look('runs');
  // Each state that is offered can be looked for; the console says where one is refused.
  for (const state of await page.getByLabel('Status', { exact: true }).locator('option').evaluateAll(each => each.map(option => option.value))) {
    await page.getByLabel('Status', { exact: true }).selectOption(state);
    await page.locator('main form').evaluate(form => form.setAttribute('data-before', ''));
    await button('Filter').click();
    await page.locator('main form:not([data-before])').waitFor();
    const shown = await page.locator('main tbody td[data-label="Status"]').allInnerTexts();
    check(!state || shown.every(text => (state === 'failed' ? /^(Failed|Completed with \d+ problems?)$/.test(text) : text.toLowerCase() === state)), `among runs that are ${state} are ${shown}`);
  }
  await nav('Audit log').click();
  await h1('Audit log');
  const row = page.getByRole('row', { name: new RegExp(seen.run) }).first();
  await row.waitFor();
  check((await row.innerText()).includes('destination.reverse_run.failed'), 'the row of the run with failures does not say so');
  check((await page.getByText('destination.reverse_run', { exact: true }).count()) >= 1, 'there is no row of the undo');
  await row.getByText('More').click();
  await look('audit-log');
});

await step('on a phone of 360 pixels everything fits, light and dark', async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  const plan = await page.evaluate(async () => (await (await fetch('/plans')).json()).items.find(each => each.mode === 'compare' && !each.undoes && each.writable > 0).plan_id);
  const destination = await page.evaluate(async () => (await (await fetch('/destinations')).json()).items[0].id);
  const views = {
    destinations: '#/destinations', destination: `#/destinations/${destination}`, 'destination-form': `#/destinations/${destination}/edit`, sources: '#/sources', 'source-form': '#/sources/new',
    golden: '#/golden', plan: `#/plans/${plan}`, run: `#/runs/${seen.run}`, runs: '#/runs', audit: '#/audit', keys: '#/keys',
  };
  for (const scheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    // Every colour is in one of these.
    const shown = scheme === 'light' ? Object.keys(views) : ['destination-form', 'plan', 'run', 'audit'];
    for (const name of shown) {
      await page.goto(`${url}/${views[name]}`);
      await page.locator('main h1').waitFor();
      await page.locator('.paged[aria-busy]').first().waitFor({ state: 'detached' });
      await look(`phone-${scheme}-${name}`, { coloursOnly: scheme === 'dark' });
      await browser.fits(name);
    }
  }
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: null });
});

await step('a key is made for a viewer and shown once; a viewer is offered nothing that would be refused', async () => {
  await nav('API keys').click();
  await button('New API key').click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Reader');
  await dialog.getByLabel('Role').selectOption('viewer');
  await dialog.getByRole('button', { name: 'Make key' }).click();
  const key = await page.locator('.notice.good code').first().innerText();
  check(/^rsk_/.test(key), `${key} is not a key`);
  await look('key-once');
  await button('I have kept it').click();
  await page.getByRole('row', { name: /Reader/ }).waitFor();
  check(!(await page.content()).includes(key), 'the key is shown again');
  await page.locator('.menu summary').click();
  await page.locator('.menu', { hasText: /[1-9]\d* of [\d,]+ runs this hour/ }).waitFor();
  await page.locator('.menu', { hasText: /\d\s[KMG]B of [\d.]+\sGB kept/ }).waitFor();
  await look('account');
  await button('Sign out').click();
  await h1('Sign in');
  await page.getByLabel('API key').fill(key);
  await button('Sign in').click();
  await h1('Destinations');
  check((await page.getByRole('link', { name: 'New destination' }).count()) === 0 && (await nav('API keys').count()) === 0, 'a viewer is offered what admins may do');
  await page.getByRole('link', { name: 'HubSpot reverse' }).click();
  await h1('HubSpot reverse');
  check((await page.locator('main').getByRole('button', { name: /Dry run|Delete/ }).count()) === 0, 'a viewer is offered a dry run');
  await page.goto(`${url}/#/runs/${seen.run}`);
  await h1(/^Run run_/);
  check((await page.getByRole('button', { name: /Undo|Resume|Cancel/ }).count()) === 0, 'a viewer is offered an undo');
  await look('viewer-run');
});

await browser.stop();
const failed = results.filter(({ error }) => error).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

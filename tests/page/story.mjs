// The whole story of some golden records, from their upload to the undo of their run: once for each kind of plan that a yes is different for.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { RECORDS, goldenCsv, idOf } from './crm.mjs';
import { check, onThe } from './person.mjs';

export const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

/**
 * `guards`: limits other than the usual ones, by their labels in the form; `held`: the guard that is to trip. `canary`, `verify`: what is asked
 * for in the dialog of the run; the undo's is given the other one.
 */
export const STORIES = [
  { records: 2, size: DESKTOP },
  { records: 2, size: PHONE, guards: { 'Max changes': 1 }, held: 'max_changes', canary: 1, verify: 'sample' },
  { records: 21, size: DESKTOP, held: 'max_changed_percent', canary: 5, verify: 'all' },
  { records: 21, size: PHONE, guards: { 'Max changed percent': 100 }, verify: 'sample' },
  { records: RECORDS, size: PHONE, guards: { 'Max changed percent': 100 }, canary: 50, verify: 'all' },
].map((each, at) => ({ ...each, entity: `story_${at}`, from: each.records === RECORDS ? 0 : 100 * (at + 1), name: title(each) }));

function title({ records, size, held, canary, verify }) {
  const how = [held ? 'guards overridden' : 'no guard', canary ? `a canary of ${canary}` : 'no canary', verify ? `${verify} read back` : 'nothing read back'];
  return `${records} records are planned, written and put back on ${size === PHONE ? 'a phone' : 'a desktop'}: ${how.join(', ')}`;
}

const VERIFY = { sample: 'A sample of 100', all: 'All records' };

/** Walks it. The CRM holds afterwards what it held before. */
export async function story(browser, crm, told) {
  const { page } = browser;
  const { addsUp, button, ended, figure, h1, nav, panel } = onThe(page);
  const { records, size, guards = {}, held, canary, verify, entity, from } = told;
  const name = `Story of ${entity}`;
  const many = records.toLocaleString('en');
  const some = [from, from + records - 1];
  const word = `Word of ${entity}`;
  await page.setViewportSize(size);
  const before = await Promise.all(some.map(crm.contact));

  /** What is shown now, and that it fits. */
  const see = async what => {
    await page.locator('main:not([aria-busy="true"])').waitFor();
    await browser.shot(`${entity}-${what}`);
    await browser.fits(`${what} of ${records} records`);
  };

  const file = path.join(browser.out, `${entity}.csv`);
  await writeFile(file, goldenCsv({ word, records, from, without: 1 }));
  await nav('Golden records').click();
  await h1('Golden records');
  await page.getByLabel('Entity type').fill(entity);
  await page.getByLabel('File', { exact: true }).setInputFiles(file);
  await button('Upload golden records').click();
  await page.getByRole('row', { name: new RegExp(entity) }).waitFor();

  await nav('Destinations').click();
  await h1('Destinations');
  await page.getByRole('link', { name: /^(New|Make a) destination$/ }).click();
  await h1('New destination');
  await page.getByLabel('Name', { exact: true }).fill(name);
  await page.getByLabel('Entity type').fill(entity);
  for (const column of ['firstname', 'city', 'jobtitle']) check((await page.getByLabel(`Field for ${column}`).inputValue()) === column, `${column} is not matched by its name`);
  if (Object.keys(guards).length) await page.getByText(/^Settings \(\d+\)$/).click();
  for (const [label, limit] of Object.entries(guards)) await page.getByLabel(label).fill(String(limit));
  await button('Create destination').click();
  await h1(name);
  await see('destination');

  await page.getByRole('radio', { name: 'Compare' }).check();
  await button('Dry run').click();
  await h1(`Plan for ${name}`);
  const counts = panel('What would happen');
  check((await figure(counts, 'would be updated')) === records && (await figure(counts, 'would be skipped')) === 1, 'the plan is of other records');
  // So many records are looked through without much scrolling, and the yes is always there.
  if (records === 21) {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    check(height < (size === PHONE ? 3600 : 2000), `the plan is ${height} px tall`);
    check(await button(/^Update /).evaluate(element => element.getBoundingClientRect().bottom <= innerHeight), 'the button has scrolled away');
  }
  await see('plan');
  const update = button(`Update ${many} records…`);
  if (held) {
    await update.click();
    await page.getByRole('alert').getByText('A guard holds this plan back').waitFor();
    await panel('Guards').getByText(held, { exact: true }).waitFor();
    for (const box of await panel('Guards').getByRole('checkbox').all()) await box.check();
  } else check((await panel('Guards').count()) === 0, 'a guard holds the plan back');
  await update.click();
  await sayYes({ what: 'Update', canary, verify, held });
  await h1(/^Run run_/);
  await ended('Succeeded');
  await addsUp();
  check((await figure(panel('Progress'), 'updated')) === records, 'not all of them were updated');
  await readBack({ canary, verify });
  await see('run');
  for (const n of some) check((await crm.contact(n)).city.startsWith(word), `${idOf(n)} was not written`);

  // The undo is asked for otherwise than the run: whoever wanted less then wants more now.
  const other = { canary: canary ? undefined : 1, verify: verify === 'all' ? undefined : 'all' };
  await button('Undo…').click();
  await h1(/^Plan to undo run_/);
  check((await figure(panel('What would happen'), 'would be put back')) === records, 'the undo is of other records');
  for (const box of await page.locator('.guards input[type=checkbox]').all()) await box.check();
  await button(`Put back ${many} records…`).click();
  await sayYes({ what: 'Put back', ...other });
  await h1(/^Run run_/);
  await ended('Succeeded');
  await addsUp();
  await readBack(other);
  await see('undone');
  const after = await Promise.all(some.map(crm.contact));
  for (const [at, was] of before.entries()) {
    for (const field of ['firstname', 'city', 'jobtitle']) check((after[at][field] ?? '') === (was[field] ?? ''), `${field} of ${idOf(some[at])} is ${after[at][field]} and was ${was[field]}`);
  }

  /** The dialog: its numbers, what is asked for, and the yes. */
  async function sayYes({ what, canary, verify, held }) {
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('heading', { name: new RegExp(`^${what} ${many} records`) }).waitFor();
    if (held) await dialog.getByText(held, { exact: true }).waitFor();
    if (canary || verify) await dialog.getByText('Canary and reading back').click();
    if (canary) {
      await dialog.getByRole('checkbox', { name: 'Canary' }).check();
      await dialog.getByLabel('Records in the canary').fill(String(canary));
    }
    if (verify) await dialog.getByRole('radio', { name: VERIFY[verify] }).check();
    const typed = dialog.getByLabel(/^Type /);
    check((await typed.count()) === (records >= 1_000 ? 1 : 0), 'the number must be typed, or not, for the wrong plan');
    if (await typed.count()) await typed.fill(many);
    await see(`yes-${what.toLowerCase().replace(' ', '-')}`);
    await dialog.getByRole('button', { name: `${what} ${many} records` }).click();
    await dialog.waitFor({ state: 'detached' });
  }

  /** What the run says of its canary, and of reading back. */
  async function readBack({ canary, verify }) {
    const progress = panel('Progress');
    if (canary) await progress.getByText(`Canary: the first ${canary} record${canary === 1 ? '' : 's'} hold what was written`).waitFor();
    const read = { all: records, sample: Math.min(records, 100) }[verify] ?? canary;
    if (read) await progress.getByText(new RegExp(`^Read back.*: ${read.toLocaleString('en')} of ${read.toLocaleString('en')} records?`)).waitFor();
    else check((await progress.getByText(/^Read back/).count()) === 0, 'something was read back');
  }
}

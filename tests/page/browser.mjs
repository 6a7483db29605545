// A real Chromium that tells on the page: console errors, broken policies, requests to elsewhere, what axe finds.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';

const AXE = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export class Browser {
  /** What the page did that it must not do. */
  wrongs = [];
  #allowed = [];
  #shots = 0;

  static async start(url, out) {
    const browser = new Browser();
    browser.origin = new URL(url).origin;
    browser.out = out;
    browser.profile = await mkdtemp(path.join(tmpdir(), 'reverse-sync-page-'));
    browser.context = await chromium.launchPersistentContext(browser.profile, {
      executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: true, args: FLAGS, viewport: { width: 1280, height: 800 }, locale: 'en-GB', timezoneId: 'UTC', acceptDownloads: true,
    });
    const page = browser.context.pages()[0] ?? (await browser.context.newPage());
    browser.page = page;
    page.setDefaultTimeout(30_000);
    page.on('console', message => browser.#heard(message));
    page.on('pageerror', error => browser.wrongs.push(`an exception: ${error.message}`));
    // What is given up when a view is left has not failed.
    browser.context.on('requestfailed', request => request.failure()?.errorText !== 'net::ERR_ABORTED' && browser.wrongs.push(`a request that failed: ${request.url()}: ${request.failure()?.errorText}`));
    browser.context.on('request', request => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== browser.origin && !['data:', 'blob:', 'about:'].includes(protocol)) browser.wrongs.push(`a request to ${request.url()}`);
    });
    await browser.context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', event => console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`));
    });
    return browser;
  }

  #heard(message) {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const text = `${message.text()} (${message.location().url})`;
    const at = this.#allowed.findIndex(([status, part]) => text.includes(`status of ${status}`) && text.includes(part));
    if (at >= 0) this.#allowed.splice(at, 1);
    else this.wrongs.push(`on the console: ${text}`);
  }

  /** An answer that this test is about: Chromium writes each refusal to the console. */
  expectStatus(status, part) {
    this.#allowed.push([status, part]);
  }

  async shot(name) {
    this.#shots += 1;
    await this.page.screenshot({ path: path.join(this.out, `${String(this.#shots).padStart(2, '0')}-${name}.png`), fullPage: true });
  }

  /** Throws if axe finds something serious in what is shown now. Answers the rest. Where only colours differ from what it has seen, it looks at those. */
  async axe(where, { coloursOnly = false } = {}) {
    await this.page.evaluate(AXE);
    const { violations } = await this.page.evaluate(tags => globalThis.axe.run(document, { runOnly: tags, resultTypes: ['violations'] }), coloursOnly ? ['color-contrast'] : TAGS);
    const said = violations.map(({ impact, id, help, nodes }) => ({ impact, text: `${where}: ${impact} ${id} (${help}): ${nodes.slice(0, 3).map(node => `${node.target.join(' ')} ${node.any[0]?.message ?? ''}`).join(' | ')}` }));
    const bad = said.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    if (bad.length) throw new Error(bad.map(({ text }) => text).join('\n'));
    return said.map(({ text }) => text);
  }

  /** Presses Tab until the element has the focus, which must be visible. */
  async tabTo(locator, key = 'Tab') {
    for (let presses = 0; presses < 150; presses += 1) {
      if (await locator.evaluate(element => element === document.activeElement)) {
        const visible = await locator.evaluate(element => getComputedStyle(element).outlineStyle !== 'none' || getComputedStyle(element).boxShadow !== 'none');
        if (!visible) throw new Error(`the focus on ${locator} cannot be seen`);
        return;
      }
      await this.page.keyboard.press(key);
    }
    throw new Error(`the keyboard does not get to ${locator}`);
  }

  /** Throws if the page, a dialog, or something on it that would have to be scrolled sideways, is wider than its place. */
  async fits(where) {
    const wide = await this.page.evaluate(() => {
      const { clientWidth, scrollWidth } = document.documentElement;
      const sideways = [...document.querySelectorAll('main .scroller, dialog')].find(element => element.scrollWidth > element.clientWidth + 1);
      if (sideways) return `${sideways.getAttribute('aria-label') ?? sideways.tagName.toLowerCase()}: ${sideways.scrollWidth} px in ${sideways.clientWidth}`;
      if (scrollWidth <= clientWidth) return null;
      const out = [...document.querySelectorAll('main *')].filter(element => element.getBoundingClientRect().right > clientWidth + 1 && !element.closest('.scroller'));
      return `${scrollWidth} px in ${clientWidth}: ${out.slice(0, 3).map(element => `${element.tagName.toLowerCase()}.${element.className}`).join(', ')}`;
    });
    if (wide) throw new Error(`${where} does not fit: ${wide}`);
  }

  async stop() {
    await this.context.close();
    await rm(this.profile, { recursive: true, force: true });
  }
}

// What a person finds on the page: by the words and roles that are there for everybody.

export function check(is, what) {
  if (!is) throw new Error(what);
}

const asNumber = text => Number(text.replaceAll(',', ''));

/** Finders for a page of Playwright's. */
export function onThe(page) {
  const panel = name => page.getByRole('region', { name, exact: true });
  const button = name => page.getByRole('button', { name, exact: typeof name === 'string' });
  return {
    panel,
    button,
    h1: text => page.getByRole('heading', { level: 1, name: text }).waitFor(),
    nav: name => page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name, exact: true }),
    /** The figure that stands before these words. */
    figure: async (region, words) => asNumber(await region.locator('.sum li', { hasText: words }).locator('strong').innerText()),
    /** Whether the run's counts add up, as a person would add them. */
    async addsUp() {
      const [total, ...parts] = (await panel('Progress').locator('.sum strong').allInnerTexts()).map(asNumber);
      check(total === parts.reduce((sum, part) => sum + part, 0), `${parts.join(' + ')} is not ${total}`);
    },
    ended: status => page.locator('.intro .badge', { hasText: status instanceof RegExp ? status : new RegExp(`^${status}$`) }).waitFor({ timeout: 120_000 }),
  };
}

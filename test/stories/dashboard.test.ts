// What an operator does at the dashboard, in a real browser: watches a shift, finds why a request went where it did,
// drains a region, tries and saves a policy, loses the connection and has it back, gives a token.

import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page, type Route } from 'playwright-core';
import t from 'tap';
import { proxyConfig, startProxy } from '../rig/proxy.ts';
import { startServer } from '../rig/server.ts';
import { UNWATCHED } from '../rig/wire.ts';

const CHROMIUM = '/usr/bin/chromium';
// Longest wait for a condition; a busy machine takes its time.
const WAIT_MS = 60_000;

if (!existsSync(CHROMIUM)) t.plan(0, `no browser: ${CHROMIUM} is not installed`);
else await stories();

async function stories(): Promise<void> {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  const east = await startServer(t, 'east');
  const west = await startServer(t, 'west');
  const config = (parts: object): object =>
    proxyConfig({
      health: UNWATCHED,
      trace: { sample: 1 },
      regions: [
        { id: 'east', servers: [east.url], capacity: 100 },
        { id: 'west', servers: [west.url], capacity: 100 },
      ],
      shardingPolicies: [{ name: 'gold', policy: 'consistent_hash' }],
      routes: [{ id: 'orders', shardingPolicy: 'gold', key: { from: [{ header: 'x-key' }] } }],
      ...parts,
    });

  t.test('a shift is watched from the maintenance that causes it to its end', async (t) => {
    const proxy = await startProxy(
      t,
      config({ pae: { mode: 'auto', evaluateEvery: '1s' }, sharding: { shiftPeriod: '3s' } }),
    );
    const page = await open(browser, proxy.controlUrl);
    // The engine starts after the proxy serves.
    await page.page.getByText('Generation').waitFor();
    await page.page.getByLabel('Title').fill('Switch replacement');
    await page.page.getByLabel('west', { exact: true }).check();
    await page.page.getByLabel('Severity').fill('0.9');
    await page.page.getByRole('button', { name: 'Add event…' }).click();
    await page.page.getByRole('dialog').getByText('maintenance of west').waitFor();
    await page.page.getByRole('dialog').getByLabel('Reason').fill('old switches');
    await page.page.getByRole('button', { name: 'Add', exact: true }).click();
    await page.page.getByText('Switch replacement').first().waitFor();
    await page.page.getByText(/shards? of 4,096 on the move/).waitFor();
    await page.page.getByText('No shard is on the move.').waitFor();
    const row = page.page.locator('[data-region=west]');
    t.match(await row.textContent(), /maintenance "Switch replacement"/, 'with its reason');
    t.ok(Number(await row.locator('.effective').textContent()) < 1);
    await page.page.getByRole('button', { name: 'Freeze…' }).click();
    await page.page.getByRole('dialog').getByLabel('Reason').fill('a release');
    await page.page.getByRole('button', { name: 'Freeze', exact: true }).click();
    await page.page.getByRole('button', { name: 'Unfreeze…' }).waitFor();
    await page.page.locator('#audit').getByText('a release').waitFor();
    t.match(
      await page.page.locator('#audit').textContent(),
      /plan\.freeze.*event\.add Switch replacement/s,
      'newest first',
    );
    t.strictSame(page.errors, [], 'nothing breaks the content security policy, nothing fails');
    await proxy.stop();
  });

  t.test('a request is found, a region drained, a policy tried and saved, a connection lost', async (t) => {
    const proxy = await startProxy(t, config({ pae: { mode: 'off' } }));
    const { page, errors } = await open(browser, proxy.controlUrl);
    await page.getByText(/There are no forecasts and risk scores/).waitFor();

    const answer = await fetch(`${proxy.url}/orders/1`, { headers: { 'x-key': 'k' } });
    const { name } = (await answer.json()) as { name: string };
    await page.getByLabel('Request id').fill(answer.headers.get('foreshard-request-id')!);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.locator('.steps .answer').waitFor();
    const steps = await page.locator('.steps li > b').allTextContents();
    t.strictSame(steps, [
      'Route',
      'Shard key',
      'Shard',
      'Eligible regions',
      'Filter',
      'Gate',
      'Pick',
      'Guard',
      'Attempt 1',
      'Answer',
    ]);
    t.match(await page.locator('.steps .attempt').textContent(), new RegExp(`${name}, .*status 200`));
    await page.locator('.decisions button').first().waitFor();

    await page.getByRole('button', { name: 'Drain east', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Reason').fill('new disks');
    await page.keyboard.press('Enter');
    await page.locator('[data-region=east]').getByText('drained').waitFor();
    await page.locator('#audit').getByText('new disks').waitFor();
    t.match(await page.locator('#audit').textContent(), /region\.drain.*east.*new disks/);
    await page.locator('canvas[role=application]').focus();
    await page.keyboard.press('ArrowRight');
    await page.getByText('Shard 1: owned by west').waitFor();
    await page.getByRole('button', { name: 'Undrain east' }).click();
    await dialog.getByLabel('Reason').fill('done');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Drain east', exact: true }).waitFor();

    await page.getByRole('button', { name: 'Edit gold' }).click();
    const save = page.getByRole('button', { name: 'Save…' });
    t.ok(await save.isDisabled(), 'what was not tried cannot be saved');
    await page.getByLabel('Document').fill('{"regions": ["nowhere"]}');
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('It would be refused').waitFor();
    await page.getByLabel('Document').fill('{"policy": "consistent_hash", "regions": ["west"]}');
    await page.getByRole('button', { name: 'Dry run' }).click();
    await page.getByText('It is valid.').waitFor();
    t.match(await page.locator('.tried').textContent(), /orders.*west/);
    await save.click();
    await dialog.getByLabel('Reason').fill('west only');
    await page.keyboard.press('Enter');
    await page.getByText('changed here').waitFor();

    await page.getByRole('button', { name: 'Delete gold' }).click();
    t.match(
      await dialog.textContent(),
      /Delete policy gold.*It moves .* shards/,
      'what it does, before it is done',
    );
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('changed here').waitFor();
    await page.getByRole('button', { name: 'Delete gold' }).click();
    await dialog.getByLabel('Reason').fill('no longer needed');
    await page.keyboard.press('Enter');
    await page.locator('#policies').getByText('deleted').waitFor();
    t.equal(await page.getByRole('button', { name: 'Delete gold' }).count(), 0);
    await page.getByRole('button', { name: 'Roll back to revision 1' }).click();
    await dialog.getByLabel('Reason').fill('it is');
    await page.keyboard.press('Enter');
    await page.getByText('changed here').waitFor();

    // Somebody else is faster: the change is refused with its sentence, and nothing is lost.
    await page.getByRole('button', { name: 'Delete gold' }).click();
    await fetch(`${proxy.controlUrl}/sharding_policies/silver`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': '*' },
      body: '{}',
    });
    await dialog.getByLabel('Reason').fill('too late');
    await page.keyboard.press('Enter');
    await dialog.getByText('the policies have changed since').waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    t.strictSame(errors, []);

    const port = new URL(proxy.controlUrl).port;
    await proxy.stop();
    await page.getByText('The control port does not answer').waitFor();
    t.ok(await page.locator('[data-region=east]').isVisible(), 'what was known stays');
    const again = config({ pae: { mode: 'off' }, control: { address: `127.0.0.1:${port}` } });
    await startProxy(t, again, { folder: proxy.folder });
    await page.getByText('The control port does not answer').waitFor({ state: 'detached' });
    await page.getByText('changed here').first().waitFor();
  });

  for (const [what, hold] of [
    ['cut off', (route: Route): Promise<void> => route.abort()],
    ['refused', (route: Route): Promise<void> => route.fulfill({ status: 503, body: '{}' })],
  ] as const) {
    t.test(`a stream that is ${what} is replaced by asking, until it is there again`, async (t) => {
      const proxy = await startProxy(t, config({ pae: { mode: 'off' } }));
      const page = await browser.newPage();
      page.setDefaultTimeout(WAIT_MS);
      await page.clock.install();
      await page.route('**/stream', hold);
      await page.goto(proxy.controlUrl);
      await page.locator('.connection.polling').waitFor();
      t.equal(await page.getByText('The control port does not answer').count(), 0);
      await fetch(`${proxy.controlUrl}/regions/east/drain`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"reason":"new disks"}',
      });
      await page.locator('[data-region=east]').getByText('drained').waitFor();
      await page.unroute('**/stream');
      while ((await page.locator('.connection.live').count()) === 0) await page.clock.runFor(2000);
      t.pass('live again');
      await page.close();
    });
  }

  t.test('where a token is set the page asks for it, and keeps it for the tab', async (t) => {
    const control = { address: '127.0.0.1:0', token: 'a-token-that-is-long-enough' };
    const proxy = await startProxy(t, config({ pae: { mode: 'off' }, control }));
    const page = await browser.newPage();
    page.setDefaultTimeout(WAIT_MS);
    await page.goto(proxy.controlUrl);
    await page.getByLabel('Token').fill('wrong');
    await page.getByRole('button', { name: 'Open' }).click();
    await page.getByText('This token is not accepted.').waitFor();
    await page.getByLabel('Token').fill(control.token);
    await page.getByRole('button', { name: 'Open' }).click();
    await page.locator('[data-region=east]').waitFor();
    await page.reload();
    await page.locator('[data-region=east]').waitFor();
    t.equal(
      (await fetch(`${proxy.controlUrl}/regions`)).status,
      401,
      'the page is open, what it shows is not',
    );
    t.equal((await fetch(`${proxy.controlUrl}/dashboard/index.html`)).status, 401, 'only what is listed is');
    await page.close();
  });

  t.test('fifty regions and 4,096 shards are shown and kept up to date', async (t) => {
    const regions = Array.from({ length: 50 }, (_, i) => ({
      id: `region-${String(i).padStart(2, '0')}`,
      servers: [east.url.replace('127.0.0.1', `127.0.0.${i + 1}`)],
      capacity: 100,
    }));
    const proxy = await startProxy(t, config({ regions, pae: { mode: 'auto', evaluateEvery: '1s' } }));
    const { page, errors } = await open(browser, proxy.controlUrl);
    await page.getByText('region-49').first().waitFor();
    t.equal(await page.locator('[data-region]').count(), 50);
    await page.locator('canvas[role=application]').waitFor();
    t.comment(`fifty regions: ${await page.evaluate(PAINTED)}; ${await page.evaluate(FRAMES)}`);
    t.strictSame(errors, []);
    await page.close();
  });

  t.test('the page fits a phone, in light and dark', async (t) => {
    const shardingPolicies = [{ name: 'gold', priority: 'critical', thresholds: { low: 0.15, high: 0.65 } }];
    const proxy = await startProxy(t, config({ shardingPolicies, pae: { mode: 'auto' } }));
    for (const colorScheme of ['light', 'dark'] as const) {
      for (const width of [400, 1280]) {
        const { page, errors } = await open(browser, proxy.controlUrl, { width, colorScheme });
        await page.locator('#shards select').waitFor();
        const wide = await page.evaluate('document.documentElement.scrollWidth');
        t.equal(wide, width, `nothing is wider than ${width} px`);
        t.strictSame(errors, []);
        t.comment(`paint at ${width} px, ${colorScheme}: ${await page.evaluate(PAINTED)}`);
        await page.close();
      }
    }
  });
}

const PAINTED = `performance.getEntriesByType('paint').map(({ name, startTime }) => name + ' ' + Math.round(startTime) + ' ms').join(', ')`;

// For a person to read: how long the page kept the browser busy at a time while it was told of changes.
const FRAMES = `new Promise((resolve) => {
  const busy = [];
  new PerformanceObserver((list) => busy.push(...list.getEntries().map(({ duration }) => Math.round(duration)))).observe({ type: 'longtask' });
  const frames = [];
  let last = performance.now();
  const frame = (at) => {
    frames.push(at - last);
    last = at;
    if (frames.length < 180) return requestAnimationFrame(frame);
    frames.sort((a, b) => a - b);
    resolve('frames: median ' + frames[90].toFixed(1) + ' ms, p99 ' + frames[178].toFixed(1) + ' ms; tasks over 50 ms: ' + (busy.join(', ') || 'none'));
  };
  requestAnimationFrame(frame);
})`;

interface OpenOptions {
  readonly width?: number;
  readonly colorScheme?: 'light' | 'dark';
}

/** Opened and live. @returns the page and what its console says of errors. */
async function open(
  browser: Browser,
  url: string,
  { width = 1280, colorScheme = 'light' }: OpenOptions = {},
): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  page.setDefaultTimeout(WAIT_MS);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (line) => {
    // A resource that answers 404 or 503 is said on the page in words.
    if (line.type() === 'error' && !line.text().startsWith('Failed to load resource'))
      errors.push(line.text());
  });
  await page.goto(url);
  await page.locator('.connection.live').waitFor();
  return { page, errors };
}

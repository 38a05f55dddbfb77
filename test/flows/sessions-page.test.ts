import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { requireProgram } from '../programs.ts';
import { type DemoRig, endLater, startDemoRig } from './rig.ts';

const program = requireProgram('chromium');

const PHONE =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1';
const EVIL = '<img src=x onerror=alert(1)> Firefox/1 (Windows)';

describe('a person who looks where they are signed in', { skip: program.skip, timeout: 120_000 }, () => {
  let browser: Browser;
  const faults: string[] = [];
  before(async () => {
    // Chromium's sandbox does not run as root, which is what a container's tests often are.
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: program.path, args: [...sandbox, '--disable-dev-shm-usage'] });
    endLater(() => browser.close());
  });

  const signIn = async (rig: DemoRig, userAgent?: string): Promise<{ context: BrowserContext; page: Page }> => {
    const context = await browser.newContext(userAgent === undefined ? {} : { userAgent });
    context.setDefaultTimeout(20_000);
    context.on('weberror', (fault) => faults.push(fault.error().message));
    context.on('dialog', (dialog) => {
      faults.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    context.on('console', (said) => {
      if (said.type() === 'error' && /Content Security Policy|Refused to/.test(said.text())) faults.push(said.text());
    });
    const page = await context.newPage();
    await page.goto(`${rig.url}/sessions`);
    await page.getByLabel('User').fill('ada');
    const password = rig.provider.accounts.find(({ sub }) => sub === 'ada')?.password ?? '';
    await page.getByLabel('Password').fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(`${rig.url}/sessions`);
    return { context, page };
  };
  const devices = (page: Page) => page.locator('li b').allTextContents();

  it('sees every session with a server’s store, and ends one, and all others', async () => {
    const rig = await startDemoRig({ settings: { 'session.store': 'memory' } });
    const phone = await signIn(rig, PHONE);
    const evil = await signIn(rig, EVIL);
    const { context, page } = await signIn(rig);
    assert.deepEqual((await devices(page)).sort(), ['Chrome on Linux', 'Firefox on Windows', 'Safari on iPhone']);
    const first = page.locator('li').first();
    assert.match((await first.textContent()) ?? '', /Chrome on Linux this browser127\.0\.0\.1last seen now/);
    const shot = process.env['SESSIONS_SCREENSHOT'];
    if (shot) await page.screenshot({ path: shot });

    await page.getByRole('button', { name: 'Sign out Safari on iPhone' }).click();
    await page.waitForURL(`${rig.url}/sessions`);
    await page.locator('li', { hasText: 'Safari on iPhone' }).waitFor({ state: 'detached' });
    assert.deepEqual((await devices(page)).sort(), ['Chrome on Linux', 'Firefox on Windows']);
    await phone.page.goto(`${rig.url}/me`);
    assert.match((await phone.page.textContent('body')) ?? '', /"code":"unauthenticated"/);

    await page.getByRole('button', { name: 'Sign out everywhere else' }).click();
    await page.locator('li', { hasText: 'Firefox on Windows' }).waitFor({ state: 'detached' });
    assert.deepEqual(await devices(page), ['Chrome on Linux']);
    assert.equal(await page.getByRole('button', { name: 'Sign out everywhere else' }).count(), 0);
    await evil.page.goto(`${rig.url}/me`);
    assert.match((await evil.page.textContent('body')) ?? '', /"code":"unauthenticated"/);

    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    for (const one of [context, phone.context, evil.context]) await one.close();
  });

  it('sees this one in cookie mode, and may end all of them', async () => {
    const rig = await startDemoRig();
    const phone = await signIn(rig, PHONE);
    const { context, page } = await signIn(rig);
    assert.deepEqual(await devices(page), ['Chrome on Linux']);
    await page.getByText('kept by those browsers alone').waitFor();
    const shot = process.env['SESSIONS_SCREENSHOT'];
    if (shot) await page.screenshot({ path: shot.replace('.png', '-cookie.png') });
    await page.getByRole('button', { name: 'Sign out everywhere, here too' }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    const left = (await context.cookies(rig.url)).filter(({ name }) => name === '__Host-flytegate');
    assert.deepEqual(left, []);
    await phone.page.goto(`${rig.url}/me`);
    assert.match((await phone.page.textContent('body')) ?? '', /"code":"unauthenticated"/);
    for (const one of [context, phone.context]) await one.close();
  });

  it('meets no page that breaks its own rules, and no script of another browser’s name', () => {
    assert.deepEqual(faults, []);
  });
});

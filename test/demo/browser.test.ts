import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Demo, runDemo } from '../../src/demo/demo.ts';
import { createLog } from '../../src/observe/log.ts';
import { requireProgram } from '../programs.ts';

const program = requireProgram('chromium');

describe('the demo in Chromium', { skip: program.skip }, () => {
  let demo: Demo;
  let browser: Browser;
  let context: BrowserContext;
  const complaints: string[] = [];

  before(async () => {
    demo = await runDemo({ port: 0, print: () => {}, output: createLog({ level: 'error' }) });
    // Chromium's sandbox does not run as root, which is what a container's tests often are.
    const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
    browser = await chromium.launch({ executablePath: program.path, args: [...sandbox, '--disable-dev-shm-usage'] });
    context = await browser.newContext();
    context.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });
  after(async () => {
    await browser?.close();
    await demo?.stop();
  });

  it('signs in, uses everything on the console, goes on in a second tab, and signs out for good', async () => {
    const page = await context.newPage();
    await page.goto(`${demo.url}/console`);
    await signIn(page, 1);
    await page.waitForURL(`${demo.url}/console`);
    await see(page, '#me', 'Zoë Núñez');
    await see(page, '#identity', 'x-auth-request-user');
    await see(page, '#ticks', 'tick 1');
    await see(page, '#socket-state', 'open');
    await page.fill('#text', 'through the gateway');
    await page.click('#say button');
    await see(page, '#echo', 'through the gateway');
    await page.click('#call');
    await see(page, '#called', '200');
    const second = await context.newPage();
    await second.goto(`${demo.url}/console`);
    await see(second, '#me', 'zoe');
    const stolen = (await context.cookies(demo.url)).map(({ name, value }) => `${name}=${value}`).join('; ');
    assert.match(stolen, /__Host-flytegate=/);
    assert.equal((await fetch(`${demo.url}/me`, { headers: { cookie: stolen } })).status, 200);
    assert.deepEqual(complaints, []);
    await second.click('text=Sign out');
    await second.waitForURL((url) => url.origin === demo.url && url.pathname === '/logout');
    await see(second, 'body', 'igned out');
    assert.equal((await fetch(`${demo.url}/me`, { headers: { cookie: stolen } })).status, 401);
    await page.goto(`${demo.url}/console`);
    assert.equal(new URL(page.url()).origin, demo.issuer);
  });

  it('signs in as somebody else in a window of their own', async () => {
    const other = await browser.newContext();
    const page = await other.newPage();
    await page.goto(demo.url);
    await page.fill('#user', 'ada');
    await page.fill('#password', 'wrong');
    await page.click('button');
    await see(page, '[role=alert]', 'do not go together');
    await signIn(page, 0);
    await page.waitForURL(`${demo.url}/console`);
    await see(page, '#me', 'ada@example.com');
    await other.close();
  });

  async function signIn(page: Page, who: 0 | 1): Promise<void> {
    const account = demo.provider.accounts[who];
    await page.fill('#user', account?.sub ?? '');
    await page.fill('#password', account?.password ?? '');
    await page.click('button');
  }
});

async function see(page: Page, selector: string, text: string): Promise<void> {
  await page.locator(selector, { hasText: text }).first().waitFor({ timeout: 10_000 });
}

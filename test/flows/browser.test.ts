import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { type Demo, runDemo } from '../../src/demo/demo.ts';
import { requireProgram } from '../programs.ts';
import { ask } from './ask.ts';
import { createLogLines } from './log-lines.ts';
import { endLater } from './rig.ts';

const program = requireProgram('chromium');

/** Nothing but the gateway is spoken to. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe('a person with a browser, at the demo', { skip: program.skip }, () => {
  let demo: Demo;
  let browser: Browser;
  let welcome = '';
  const faults: string[] = [];
  before(async () => {
    const print = (text: string) => {
      welcome += text;
    };
    demo = await runDemo({ port: 0, print, output: createLogLines().output });
    endLater(demo.stop);
    browser = await chromium.launch({ executablePath: program.path, headless: true, args: flags });
    endLater(() => browser.close());
  });

  /** A window of its own, with what its pages complain about. */
  const openWindow = async (): Promise<{ context: BrowserContext; page: Page }> => {
    const context = await browser.newContext();
    context.setDefaultTimeout(20_000);
    context.on('weberror', (fault) => faults.push(fault.error().message));
    context.on('console', (said) => {
      if (said.type() === 'error') faults.push(`${said.location().url}: ${said.text()}`);
    });
    return { context, page: await context.newPage() };
  };
  const passwordOf = (person: string) => demo.provider.accounts.find(({ sub }) => sub === person)?.password ?? '';
  const signIn = async (page: Page, person: string) => {
    await page.getByLabel('User').fill(person);
    await page.getByLabel('Password').fill(passwordOf(person));
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(`${demo.url}/console`);
  };
  const row = (page: Page, table: string, name: string) =>
    page
      .locator(`#${table} tr`, { has: page.getByRole('rowheader', { name, exact: true }) })
      .getByRole('cell')
      .last();

  it('is told how to try it', () => {
    for (const part of [demo.url, demo.admin, passwordOf('ada'), 'flyte-service', 'curl'])
      assert.ok(welcome.includes(part), part);
  });

  it('signs in, sees who they are, talks to the services, signs out, and comes back as somebody else', async () => {
    const { context, page } = await openWindow();
    await page.goto(`${demo.url}/console`);
    assert.equal(new URL(page.url()).origin, demo.issuer);
    await signIn(page, 'ada');

    assert.equal(await row(page, 'me', 'name').textContent(), 'Ada Okafor');
    assert.equal(await row(page, 'identity', 'x-auth-request-email').textContent(), 'ada@example.com');

    await page.locator('#ticks', { hasText: /tick 2/ }).waitFor();
    await page.locator('#socket-state', { hasText: 'open' }).waitFor();
    await page.getByLabel('Message').fill('to and fro');
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('#echo', { hasText: 'to and fro' }).waitFor();
    await page.getByRole('button', { name: 'Call' }).click();
    await page.locator('#called', { hasText: '200 {"text":"to and fro"' }).waitFor();

    const tab = await context.newPage();
    await tab.goto(`${demo.url}/console`);
    assert.equal(await row(tab, 'me', 'subject').textContent(), 'ada', 'a second tab is signed in');

    const cookies = await context.cookies(demo.url);
    const session = cookies.find(({ name }) => name === '__Host-flytegate');
    assert.deepEqual(
      { httpOnly: session?.httpOnly, secure: session?.secure, sameSite: session?.sameSite, path: session?.path },
      { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' },
    );
    const cookie = `${session?.name}=${session?.value}`;
    assert.equal((await ask(`${demo.url}/me`, { fields: { cookie } })).status, 200);

    await page.getByRole('link', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    assert.equal(new URL(page.url()).origin, demo.url);
    for (const path of ['/me', '/api/v1/projects'])
      assert.equal((await ask(demo.url + path, { fields: { cookie } })).status, 401, 'the old cookie is worth nothing');
    const left = (await context.cookies([demo.url, `${demo.url}/logout`])).filter(({ name }) =>
      name.includes('flytegate'),
    );
    assert.deepEqual(left, []);

    await page.getByRole('link', { name: 'Sign in again' }).click();
    await signIn(page, 'zoe');
    assert.equal(await row(page, 'me', 'name').textContent(), 'Zoë Núñez');
    await context.close();
  });

  it('is told of a wrong password, and of a sign-in that is stale', async () => {
    const { context, page } = await openWindow();
    await page.goto(`${demo.url}/console`);
    await page.getByLabel('User').fill('ada');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').waitFor();
    await context.clearCookies();
    await page.goto(`${demo.url}/callback?code=x&state=y`);
    await page.getByRole('heading', { name: 'This sign-in cannot be finished' }).waitFor();
    await page.getByRole('link', { name: 'Try again' }).click();
    await signIn(page, 'ada');
    await context.close();
  });

  it('keeps the session when another site’s link asks to sign out, until they say so', async () => {
    const { context, page } = await openWindow();
    await page.goto(`${demo.url}/console`);
    await signIn(page, 'ada');
    // Another site: 127.0.0.1 is none of localhost's. Cookies go by host there, so the link leads back to localhost.
    await page.goto(`${demo.issuer}/`);
    await page.setContent(`<a href="${demo.url}/logout">innocent</a>`);
    await page.getByRole('link', { name: 'innocent' }).click();
    await page.getByRole('heading', { name: 'Sign out?' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor();
    await context.close();
  });

  it('meets no page that breaks its own rules', () => {
    const policies = faults.filter((fault) => /Content Security Policy|Refused to/.test(fault));
    assert.deepEqual(policies, []);
  });
});

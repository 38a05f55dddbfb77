import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { before, describe, it } from 'node:test';
import { type Browser, chromium, type Page } from 'playwright-core';
import { requireProgram } from '../programs.ts';
import { type AppStage, startAppStage } from './app-stage.ts';
import { endLater } from './rig.ts';

const program = requireProgram('chromium');
const flags = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-sync'];

/** An app with a page, and something that can be changed. */
function app(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('content-type', request.method === 'GET' ? 'text/html' : 'text/plain');
  response.end(request.method === 'GET' ? `<!doctype html><title>an app</title>${request.url}` : 'changed');
}

describe('a person with a browser, at an app beside the gateway', { skip: program.skip }, () => {
  let stage: AppStage;
  let browser: Browser;
  before(async () => {
    stage = await startAppStage();
    stage.upstream.script({ kind: 'by-hand', http1: app });
    browser = await chromium.launch({ executablePath: program.path, headless: true, args: flags });
    endLater(() => browser.close());
  });
  /** What becomes of a POST by a script of the page. */
  const post = (page: Page, url: string) =>
    page.evaluate(
      (to) =>
        fetch(to, { method: 'POST', credentials: 'include', mode: 'no-cors' }).then(
          async (answer) => `${answer.type} ${answer.status} ${await answer.text()}`,
        ),
      url,
    );

  it('signs in by way of the gateway, is back on the page, and changes what is the app’s own', async () => {
    const page = await browser.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`${stage.at('app')}/board?view=1`);
    assert.equal(page.url(), `${stage.at('app')}/board?view=1`);
    assert.equal(await page.title(), 'an app');
    assert.equal(await post(page, `${stage.at('app')}/change`), 'basic 200 changed');
    await page.goto(`${stage.at('one.apps')}/`);
    assert.equal(page.url(), `${stage.at('one.apps')}/`);
    assert.equal(await post(page, '/change'), 'basic 200 changed', 'signed in at all of them');
    const before = stage.upstream.requests.length;
    await post(page, `${stage.at('app')}/change`);
    assert.equal(stage.upstream.requests.length, before, 'a page of another app changes nothing');
    await page.context().close();
  });
});

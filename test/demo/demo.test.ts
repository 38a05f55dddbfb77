import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type Demo, runDemo } from '../../src/demo/demo.ts';
import { curlLine, grpcLine } from '../../src/demo/welcome.ts';
import { createLog } from '../../src/observe/log.ts';
import { createBrowser } from '../fakes/browser.ts';
import { requireProgram } from '../programs.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');
const curl = requireProgram('curl');
const output = createLog({ level: 'error' });

describe('the demo', () => {
  let demo: Demo;
  let welcome = '';
  before(async () => {
    const print = (text: string) => {
      welcome += text;
    };
    demo = await runDemo({ port: 0, print, output });
  });
  after(() => demo.stop());

  it('prints everything that is needed to try it', () => {
    const { clients, accounts } = demo.provider;
    const facts = [
      `${demo.url}/console`,
      demo.admin,
      demo.issuer,
      clients.web.id,
      clients.native.id,
      clients.service.id,
    ];
    for (const fact of facts) assert.ok(welcome.includes(fact), fact);
    for (const { sub, password } of accounts) assert.ok(welcome.includes(`${sub} / ${password}`));
    for (const line of [curlLine(demo), grpcLine(demo)]) assert.ok(welcome.includes(line));
  });

  it('signs a person in, shows them the console and who they are, and signs them out for good', async () => {
    const browser = createBrowser();
    const login = await browser.open(`${demo.url}/console?tab=2`);
    assert.equal(login.url.origin, demo.issuer);
    const [ada] = demo.provider.accounts;
    const page = await browser.submit(login, { user: ada?.sub ?? '', password: ada?.password ?? '' });
    assert.equal(page.url.href, `${demo.url}/console?tab=2`);
    assert.match(page.text, /Demo control plane/);
    const me = JSON.parse((await browser.open(`${demo.url}/me`)).text);
    assert.equal(me.email, 'ada@example.com');
    const who = JSON.parse((await browser.open(`${demo.url}/api/v1/whoami`)).text);
    assert.equal(who.identity['x-auth-request-user'], 'ada');
    assert.equal(who.headers['cookie'], undefined);
    const stolen = browser.cookiesFor(demo.url);
    const confirm = await browser.open(`${demo.url}/logout`);
    const done = await browser.submit(confirm, { logout: 'yes' });
    assert.equal(done.url.origin, demo.url);
    assert.equal((await createBrowser().open(`${demo.url}/me`, { fields: { cookie: stolen } })).status, 401);
  });

  it('lets the service app in by the printed line for curl', { skip: curl.skip }, async () => {
    const { stdout } = await run('/bin/sh', ['-c', curlLine(demo)]);
    assert.equal(JSON.parse(stdout).identity['x-auth-request-user'], demo.provider.clients.service.id);
  });

  it('lets the service app in by the printed line for gRPC', { skip: curl.skip }, async () => {
    const { stdout } = await run('/bin/sh', ['-c', grpcLine(demo)], { cwd: root });
    assert.equal(JSON.parse(stdout).text, 'hello');
  });
});

describe('starting and ending the demo', () => {
  let tmp: string;
  before(async () => {
    tmp = await mkdtemp(join(tmpdir(), 'flytegate-test-'));
  });
  after(() => rm(tmp, { recursive: true }));

  it('keeps secrets from other users while it runs, and leaves nothing on disk', async () => {
    const demo = await runDemo({ port: 0, print: () => {}, output, tmp });
    const [folder = ''] = await readdir(tmp);
    assert.equal((await stat(join(tmp, folder))).mode & 0o077, 0);
    await demo.stop();
    assert.deepEqual(await readdir(tmp), []);
  });

  it('says that its port is taken, and leaves nothing running or on disk', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const at = taken.address();
    const port = typeof at === 'object' && at ? at.port : 0;
    await assert.rejects(runDemo({ port, print: () => {}, output, tmp }), { code: 'EADDRINUSE' });
    await new Promise((resolve) => taken.close(resolve));
    assert.deepEqual(await readdir(tmp), []);
  });
});

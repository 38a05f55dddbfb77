import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { request } from 'undici';
import type { Document } from 'yaml';
import { makeKeyPair } from '../../src/config/keygen.ts';
import { nextCertificate, testCertificate } from '../server/test-certificate.ts';
import { ask } from './ask.ts';
import { changeSettings } from './change-settings.ts';
import { startChild } from './child.ts';
import { type FakeRig, startDemoRig, startFakeRig } from './rig.ts';

type Change = (document: Document.Parsed) => void;
const set =
  (path: string, value: unknown): Change =>
  (document) =>
    document.setIn(path.split('.'), document.createNode(value));

describe('New settings', () => {
  let rig: FakeRig;
  before(async () => {
    rig = await startFakeRig();
  });
  const change = (made: Change) => changeSettings(rig.settings.file, made);
  const reasons = () => JSON.stringify(rig.log.of('config.refused').at(-1)?.['reasons']);
  const page = async () => (await ask(`${rig.admin()}/metrics`)).text;

  it('are taken over as a whole, logged by their digest and what changed, and told by metrics', async () => {
    await change(set('log.requests', false));
    assert.equal(await rig.reload(), 'reloaded');
    const { digest, changed } = rig.log.of('config.reloaded').at(-1) ?? {};
    assert.match(String(digest), /^[0-9a-f]{16}$/);
    assert.deepEqual(changed, ['log']);
    const text = await page();
    assert.match(text, /flytegate_config_reloads_total\{outcome="reloaded"\} 1/);
    assert.match(text, new RegExp(`flytegate_config_info\\{digest="${digest}"\\} 1`));
    assert.equal(text.match(/^flytegate_config_info/gm)?.length, 1);
    assert.match(text, /flytegate_config_loaded_timestamp_seconds \d/);
  });

  it('that say the same are no news', async () => {
    await change((document) => {
      document.comment = ' a remark';
    });
    assert.equal(await rig.reload(), 'unchanged');
    assert.equal(rig.log.of('config.unchanged').length, 1);
  });

  for (const [what, made, reason] of [
    ['an unknown key', set('server.lisen', 'x'), /server\.lisen: expected a setting that exists/],
    ['an upstream that is none', set('routes.0.upstream', 'nobody'), /routes\[0\]\.upstream: expected the name/],
    ['another address to listen on', set('server.listen', '127.0.0.1:1'), /server\.listen: .*restart to change it/],
    ['another admin address', set('server.admin', '127.0.0.1:1'), /server\.admin: .*restart to change it/],
    ['another store', set('session', { store: 'memory' }), /session: expected what it was .*restart to change it/],
    ['other limits', set('server.limits', { headers: '5s' }), /server\.limits: .*restart to change it/],
    [
      'TLS where there was none',
      set('server.tls', { certFile: 'tls/a.crt', keyFile: 'tls/a.key' }),
      /server\.tls: .*restart/,
    ],
    [
      'a certificate and the key of another',
      set('server.tls', { certFile: 'tls/b.crt', keyFile: 'tls/a.key' }),
      /server\.tls\.keyFile: expected the private key of the certificate/,
    ],
    [
      'a CA file that is none',
      set('auth.caFile', 'tls/c.pem'),
      /auth\.caFile: .*cannot be read, as number 1: tls\/c\.pem/,
    ],
  ] as const)
    it(`are refused for ${what}, with the reason, and the old ones stay`, async () => {
      const own = await startFakeRig({
        files: {
          'tls/a.crt': testCertificate.cert,
          'tls/a.key': testCertificate.key,
          'tls/b.crt': nextCertificate.cert,
          'tls/c.pem': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
        },
      });
      rig = own;
      const { cookie } = await own.signIn();
      await change(made);
      assert.equal(await own.reload(), 'refused');
      assert.match(reasons(), reason);
      assert.match(await page(), /flytegate_config_reloads_total\{outcome="refused"\} 1/);
      assert.equal((await own.ask('/me', { fields: { cookie } })).status, 200);
      await own.stop();
    });

  it('are refused with every reason at once, none of which holds a secret', async () => {
    rig = await startFakeRig();
    await writeFile(join(rig.settings.folder, 'secrets/cookie_hash_key'), 'hunter2\n');
    await change(set('server.drain', 'soon'));
    assert.equal(await rig.reload(), 'refused');
    assert.match(reasons(), /server\.drain: .*cookieHashKeySecretName: expected base64/);
    assert.ok(!rig.log.text().includes('hunter2'));
  });

  it('change the level of the log', async () => {
    rig = await startFakeRig();
    await change(set('log.level', 'warn'));
    await rig.reload();
    const before = rig.log.lines.length;
    await rig.ask('/me');
    assert.equal(rig.log.lines.length, before);
  });
});

describe('While the provider is down', () => {
  it('new cookie keys, a new CA, new rules and new routes sign nobody out: what is known of the provider is kept', async () => {
    const rig = await startFakeRig({ files: { 'tls/ca.pem': testCertificate.cert } });
    const { cookie } = await rig.signIn();
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    assert.equal((await rig.ask('/me', { fields: { authorization } })).status, 200);
    await rig.provider.stop();
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    for (const [name, key] of Object.entries({ cookie_hash_key: hash, cookie_block_key: block })) {
      const file = join(rig.settings.folder, 'secrets', name);
      await writeFile(file, `${key}\n${await readFile(file, 'utf8')}`);
    }
    await changeSettings(rig.settings.file, (document) => {
      set('auth.caFile', 'tls/ca.pem')(document);
      set('auth.trustUnverifiedEmail', true)(document);
      document.addIn(['routes'], { path: '/open', upstream: 'control-plane', access: 'public' });
    });
    assert.equal(await rig.reload(), 'reloaded');
    assert.equal((await rig.ask('/me', { fields: { authorization } })).status, 200);
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
    await rig.provider.restart();
  });

  it('a session signed out before a change of settings stays signed out after it', async () => {
    const rig = await startFakeRig();
    const { cookie } = await rig.signIn();
    assert.equal((await rig.ask('/logout', { fields: { cookie } })).status, 302);
    await changeSettings(rig.settings.file, set('decisionCache.maxAge', '30s'));
    assert.equal(await rig.reload(), 'reloaded');
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 401);
  });

  it('and a decision does not outlive the key that its session was sealed with', async () => {
    const rig = await startFakeRig();
    const { cookie } = await rig.signIn();
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 200);
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    await writeFile(join(rig.settings.folder, 'secrets/cookie_hash_key'), hash);
    await writeFile(join(rig.settings.folder, 'secrets/cookie_block_key'), block);
    assert.equal(await rig.reload(), 'reloaded');
    assert.equal((await rig.ask('/me', { fields: { cookie } })).status, 401);
  });
});

describe('A stream that began under old settings', () => {
  it('goes on over any number of changes while its upstream stays the same', async () => {
    const { rig, body } = await startStream();
    await next(body);
    for (const level of ['info', 'debug']) {
      await changeSettings(rig.settings.file, set('log.level', level));
      assert.equal(await rig.reload(), 'reloaded');
      await next(body);
      await next(body);
    }
  });

  it('goes on for server.drain after its upstream was changed, and then ends, never as if it were complete', async () => {
    const { rig, body } = await startStream({ 'server.drain': '300ms' });
    await next(body);
    await changeSettings(rig.settings.file, set('upstreams.control-plane.headersTimeout', '59s'));
    assert.equal(await rig.reload(), 'reloaded');
    await next(body);
    await assert.rejects(async () => {
      for (;;) await next(body);
    });
    assert.equal((await rig.ask('/healthcheck')).status, 200);
    const { text } = await ask(`${rig.admin()}/metrics`);
    assert.match(text, /flytegate_upstream_requests_in_flight\{upstream="control-plane"\} 0/);
  });
});

describe('flytegate serve', () => {
  it('takes new settings over by SIGHUP and by a change of a file, and says what it refuses', async () => {
    const rig = await startDemoRig({ settings: { 'server.reloadInterval': '0s' } });
    await rig.stop();
    const child = await startChild(rig.settings.file);
    const count = (outcome: string) => until(child.admin, new RegExp(`reloads_total\\{outcome="${outcome}"\\} 1`));
    const open = async () => (await ask(`${rig.url}/open/x`)).status;
    const route = { path: '/open', upstream: 'control-plane', access: 'public' };
    await changeSettings(rig.settings.file, (document) => {
      document.addIn(['routes'], route);
      set('server.reloadInterval', '20ms')(document);
    });
    assert.equal(await open(), 401, 'nobody looks');
    child.kill('SIGHUP');
    await count('reloaded');
    assert.equal(await open(), 404, 'the control plane was asked');
    await changeSettings(rig.settings.file, set('routes.0.access', 'anyone'));
    await count('refused');
    assert.equal(await open(), 404);
    child.kill('SIGTERM');
    assert.equal(await child.ended, 0);
    assert.match(child.log(), /"event":"config.refused","reasons":\["line \d+: routes\[0\]\.access: expected one of/);
  });
});

async function startStream(settings: Readonly<Record<string, unknown>> = {}) {
  const rig = await startDemoRig({ settings });
  const fields = { authorization: `Bearer ${await rig.appToken()}` };
  const { body } = await request(`${rig.url}/api/v1/ticks`, { headers: fields });
  return { rig, body: body[Symbol.asyncIterator]() };
}

async function next(body: AsyncIterator<unknown>): Promise<void> {
  const { done } = await body.next();
  if (done) assert.fail('the stream ended as if it were complete');
}

/** Asks until the page says so. */
async function until(admin: string, said: RegExp): Promise<void> {
  while (!said.test((await ask(`${admin}/metrics`)).text));
}

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { ask } from './ask.ts';
import { changeSettings } from './change-settings.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

const change = (rig: FakeRig, path: string, value: unknown) =>
  changeSettings(rig.settings.file, (document) => document.setIn(path.split('.'), document.createNode(value)));

describe('A change of settings', () => {
  it('publishes a new assertion key, and signs with it once it stands first', async () => {
    const [old, fresh] = [makeAssertionKey(), makeAssertionKey()];
    const rig = await startFakeRig({
      settings: { 'upstreams.control-plane.identityHeaders': ['assertion'] },
      files: { 'secrets/assertion_key': old },
    });
    const kids = async () => {
      const { keys } = (await rig.ask('/.well-known/flytegate/jwks.json')).json();
      return Array.isArray(keys) ? keys.map((key) => Object(key).kid) : [];
    };
    const [first] = await kids();
    const file = join(rig.settings.folder, 'secrets/assertion_key');
    await writeFile(file, old + fresh);
    assert.equal(await rig.reload(), 'reloaded');
    const [same, second] = await kids();
    assert.equal(same, first);
    await writeFile(file, fresh + old);
    assert.equal(await rig.reload(), 'reloaded');
    assert.deepEqual(await kids(), [second, first]);
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const { text } = await rig.ask('/api/v1/whoami', { fields: { authorization } });
    const [, header = ''] = /x-flytegate-assertion.*?(eyJ[\w-]+)/is.exec(text) ?? [];
    assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).kid, second);
  });

  it('that a decision does not go by asks nobody to prove themselves again; one that it does go by asks everybody', async () => {
    const rig = await startFakeRig();
    const fields = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    const misses = async () => {
      const { text } = await ask(`${rig.admin()}/metrics`);
      return Number(/flytegate_decisions_total\{outcome="miss"\} (\d+)/.exec(text)?.[1]);
    };
    const agent = async () => assert.equal((await rig.ask('/me', { fields })).status, 200);
    await agent();
    await change(rig, 'log.requests', false);
    assert.equal(await rig.reload(), 'reloaded');
    await agent();
    assert.equal(await misses(), 1);
    await change(rig, 'identityHeaders.claims', ['org']);
    assert.equal(await rig.reload(), 'reloaded');
    await agent();
    assert.equal(await misses(), 2);
  });

  it('keeps what is known of an address that fails, where its upstream stays the same', async () => {
    const rig = await startFakeRig({ upstream: 'http://127.0.0.1:9' });
    const fields = { authorization: `Bearer ${await rig.provider.accessToken()}` };
    assert.equal((await rig.ask('/api/v1/x', { fields })).status, 502);
    const leftAlone = async () => {
      const { text } = await ask(`${rig.admin()}/metrics`);
      return /upstream_addresses\{upstream="control-plane",state="left_alone"\} (\d)/.exec(text)?.[1];
    };
    assert.equal(await leftAlone(), '1');
    await change(rig, 'log.requests', false);
    assert.equal(await rig.reload(), 'reloaded');
    assert.equal(await leftAlone(), '1');
  });

  it('a hundred times over leaves nothing behind: one upstream is watched, and no timer more than before', async () => {
    const rig = await startFakeRig();
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    let before = 0;
    for (let i = 0; i < 100; i += 1) {
      await change(rig, 'upstreams.control-plane.headersTimeout', `${30 + (i % 2)}s`);
      assert.equal(await rig.reload(), 'reloaded');
      assert.equal((await rig.ask('/healthcheck')).status, 200);
      if (i === 10) before = timers();
    }
    assert.ok(timers() <= before + 2, `${timers()} timers, ${before} before`);
    const { text } = await ask(`${rig.admin()}/metrics`);
    assert.match(text, /flytegate_upstream_addresses\{upstream="control-plane",state="in_use"\} 1\n/);
  });
});

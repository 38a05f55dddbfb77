import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { type FakeRig, startFakeRig } from './rig.ts';
import { watchers } from './watchers.ts';

/** What a client that nobody here wrote makes of a watch stream that is open when the drain is over. */
describe('a watch stream at the end of server.drain', { timeout: 30_000 }, () => {
  let rig: FakeRig;
  const endings = new Map<string, Promise<unknown>>();
  before(async () => {
    rig = await startFakeRig({ settings: { 'server.drain': '1s' } });
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    for (const [name, watch] of Object.entries(watchers))
      endings.set(name, (await watch(rig.url, ['authorization', authorization])).ended);
    await rig.stop();
  });

  for (const name of Object.keys(watchers))
    it(`is unavailable, and not done, to ${name}`, async () => {
      const { code, message } = Object(await endings.get(name));
      assert.equal(code, Code.Unavailable);
      assert.match(message, /the gateway is shutting down/);
    });
});

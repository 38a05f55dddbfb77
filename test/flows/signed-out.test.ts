import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, it } from 'node:test';
import { Code } from '@connectrpc/connect';
import { WebSocket } from 'ws';
import { personDigest } from '../../src/observe/facts.ts';
import { ask } from './ask.ts';
import { type DemoRig, type SignedIn, startDemoRig } from './rig.ts';
import { watchers } from './watchers.ts';

/** All that may pass between a sign-out and the end of what it ends. */
const IN_TIME_MS = 1000;
const TOKEN = 'k'.repeat(40);

// The sentence of the requirement, with a certified provider.
describe('logout here, at the provider, or by an operator', { timeout: 60_000 }, () => {
  let rig: DemoRig;
  before(async () => {
    rig = await startDemoRig({ files: { 'secrets/admin_token': TOKEN } });
  });

  const ways: readonly (readonly [name: string, signOut: (signedIn: SignedIn) => Promise<unknown>])[] = [
    ['here', ({ cookie }) => rig.ask('/logout', { fields: { cookie } })],
    [
      'at the provider',
      async ({ browser }) => {
        const page = await browser.open(`${rig.issuer}/session/end`);
        await browser.submit(page, { logout: 'yes' });
      },
    ],
    [
      'by an operator',
      async () => {
        const { session } = rig.log.of('login.finished').findLast((line) => line['subject'] === ada()) ?? {};
        const { status } = await ask(`${rig.admin()}/api/sessions/revoke`, {
          method: 'POST',
          fields: { authorization: `Bearer ${TOKEN}` },
          body: JSON.stringify({ session }),
        });
        assert.equal(status, 200);
      },
    ],
  ];
  const ada = () => personDigest(rig.issuer, 'ada');
  for (const [where, signOut] of ways)
    it(`${where}: the session is refused everywhere and its open streams and sockets end, in under a second`, async () => {
      const signedIn = await rig.signIn();
      const { cookie } = signedIn;
      const bystander = await rig.signIn('zoe');
      const socket = new WebSocket(`ws://127.0.0.1:${rig.port}/api/v1/echo`, { headers: { cookie, origin: rig.url } });
      await once(socket, 'open');
      const closed = once(socket, 'close').then(([code]) => ['WebSocket', code]);
      const endings: Promise<unknown[]>[] = [closed];
      for (const [name, watch] of Object.entries(watchers)) {
        const { ended } = await watch(rig.url, ['cookie', cookie]);
        endings.push(ended.then((end) => [name, Object(end).code]));
      }
      const began = performance.now();
      await signOut(signedIn);
      const ended = Object.fromEntries(await Promise.all(endings));
      const tookMs = performance.now() - began;
      const unauthenticated = Object.keys(watchers).map((name) => [name, Code.Unauthenticated]);
      assert.deepEqual(ended, { WebSocket: 1006, ...Object.fromEntries(unauthenticated) });
      assert.ok(tookMs < IN_TIME_MS, `took ${tookMs} ms`);
      for (const path of ['/me', '/api/v1/projects', '/api/v1/ticks'])
        assert.equal((await rig.ask(path, { fields: { cookie } })).status, 401, path);
      const { status } = await rig.ask('/me', { fields: { cookie: bystander.cookie } });
      assert.equal(status, 200, 'somebody else stays signed in');
    });
});

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { exchangeRaw, statusesIn } from '../server/raw-connection.ts';

// A service that decodes a path before it looks for the query sees it end at an encoded `?` or `#`.
describe('a path with an encoded ? or #', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: {
        routes: [
          { path: '/', upstream: 'control-plane', access: 'authenticated' },
          { path: '/pub', upstream: 'control-plane', access: 'public' },
          { path: '/pub/private', upstream: 'control-plane', access: 'authenticated' },
        ],
      },
    });
  });

  const status = async (target: string) => {
    const request = `GET ${target} HTTP/1.1\r\nHost: localhost:${rig.port}\r\nConnection: close\r\n\r\n`;
    return statusesIn(await exchangeRaw({ host: '127.0.0.1', port: rig.port }, request));
  };

  for (const target of [
    '/pub/private%3f',
    '/pub/private%3Fa=b',
    '/pub/private%3f/x',
    '/pub/private%23',
    '/pub/private%23a/b',
    '/pub/priv%61te%3f',
    '/pub/private;a%3f',
    '/pub/private;%23b',
    '/pub%3f/private',
    '/%70ub%23',
  ]) {
    it(`reaches no service where it would be another rule's: ${target}`, async () => {
      const before = upstream.requests.length;
      assert.deepEqual(await status(target), [404]);
      assert.equal(upstream.requests.length, before);
    });
  }

  for (const target of ['/pub/why%3F', '/pub/c%23/notes', '/pub/x%3f%23?a=b']) {
    it(`is forwarded byte for byte where every reading has the same rule: ${target}`, async () => {
      assert.deepEqual(await status(target), [200]);
      assert.equal(upstream.requests.at(-1)?.target, target);
    });
  }

  it('is asked for a credential where every reading has', async () => {
    assert.deepEqual(await status('/pub/private/why%3f'), [401]);
  });
});

import assert from 'node:assert/strict';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { exchangeRaw, statusesIn } from '../server/raw-connection.ts';

/** Two readers could take these for two things: refused, whoever asks. `{own}` stands for the gateway's own host. */
const ambiguous = [
  '*',
  'pub/page',
  'http://{own}/pub/page',
  'http://evil.test/pub/page',
  'ftp://{own}/pub/page',
  '//evil.test/pub',
  '//pub/page',
  '/pub//private',
  '/pub/private//',
  '/pub\\private',
  '\\pub/page',
  '/pub/../pub/private',
  '/pub/page/../private',
  '/pub/./private',
  '/pub/..',
  '/pub/.',
  '/pub/%2e%2e/pub/private',
  '/pub/%2E./private',
  '/pub/.%2e/private',
  '/pub/%2e/private',
  '/pub/..;/private',
  '/pub/..;x=1/private',
  '/pub/..%3b/private',
  '/pub/%252e%252e/private',
  '/pub%2fprivate',
  '/pub/x%2f..%2fprivate',
  '/pub/..%2Fprivate',
  '/pub/..%5cprivate',
  '/pub/%5Cprivate',
  '/pub/%252fprivate',
  '/pub/%255cprivate',
  '/pub/page%00',
  '/pub/%2500',
  '/pub/page%0d%0aX:y',
  '/pub/page%0a',
  '/pub/page%7f',
  '/pub/page#/../private',
  '/pub/page?x#y',
  '/pub/%',
  '/pub/%zz',
  '/pub/%u002e%u002e/private',
  '/pub/%c0%ae%c0%ae/private',
  '/pub/%c0%afprivate',
  '/pub/%ff',
  '/pub/\x01page',
  '/pub/pa\tge',
  '/pub/page\x7f',
  '/pub/p\xe4ge',
  '/pub/page?x=\xe4\x00',
] as const;

/** A public path that some upstream reads as a guarded one, or the other way round: on no route. */
const masked = [
  '/pub/private%3f',
  '/pub/private%3Fx=/',
  '/pub/private%23',
  '/pub/%70rivate',
  '/pub/p%72ivate/x',
  '/pub/private;x=1',
  '/pub/private;/x',
  '/pub/private%3bx=1',
  '/pub;x=1/private',
  '/pub;/page',
  '/%70ub/page',
  '/pu%62',
  '/pub%3f/private',
  '/pub/deep;x/private%3f',
  '/pub/deep;x=1/private%3Fx',
  '/pub/deep%3b/private%23',
] as const;

/** Read in one way only, and public. */
const clear = [
  '/pub',
  '/pub/',
  '/pub/page?x=1&y=//z/../%2f%5c',
  '/pub/a%20b/%C3%BC',
  '/pub/page;v=1',
  '/pub/page%3fx',
  '/pub/privately',
  '/pub/..x/...',
  '/pub/100%25',
  "/pub/~!$&'()*+,=:@-._",
  '/pub/page?',
  '/pub/page?/private',
] as const;

/** Read in one way only, and guarded. */
const guarded = [
  '/pub/private',
  '/pub/private/',
  '/pub/private?x',
  '/pub/private/%70',
  '/pub/deep/private',
  '/PUB/page',
  '/public',
  '/',
] as const;

describe('a request target', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let credential: string;
  let session: ClientHttp2Session;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: {
        routes: [
          { path: '/pub', upstream: 'control-plane', access: 'public' },
          { path: '/pub/private', upstream: 'control-plane' },
          { path: '/pub/deep/private', upstream: 'control-plane' },
          { path: '/', upstream: 'control-plane' },
        ],
      },
    });
    credential = `Bearer ${await rig.provider.accessToken()}`;
    session = connectHttp2(rig.url);
    endLater(async () => session.destroy());
  });

  /** The status of a request by HTTP/1.1, 0 when the connection was just closed, and the targets that arrived behind. */
  async function byHttp1(target: string, authorization = ''): Promise<{ status: number; arrived: readonly string[] }> {
    const before = upstream.requests.length;
    const fields = `Host: localhost:${rig.port}\r\n${authorization && `Authorization: ${authorization}\r\n`}`;
    const sent = `GET ${target.replace('{own}', `localhost:${rig.port}`)} HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`;
    const [status = 0] = statusesIn(await exchangeRaw({ host: '127.0.0.1', port: rig.port }, sent));
    return { status, arrived: targetsSince(before) };
  }

  /** Likewise by HTTP/2; 0 for a stream that was reset. */
  async function byHttp2(target: string, authorization = ''): Promise<{ status: number; arrived: readonly string[] }> {
    const before = upstream.requests.length;
    const path = target.replace('{own}', `localhost:${rig.port}`);
    const stream = session.request({ ':path': path, ...(authorization && { authorization }) });
    const status = await new Promise<number>((resolve) => {
      stream.once('response', (head) => resolve(Number(head[':status'])));
      stream.on('error', () => resolve(0)); // a reset is one way to be refused
      stream.resume();
    });
    return { status, arrived: targetsSince(before) };
  }

  const targetsSince = (before: number) => upstream.requests.slice(before).map(({ target }) => target);

  for (const [version, send] of [
    ['HTTP/1.1', byHttp1],
    ['HTTP/2', byHttp2],
  ] as const) {
    for (const target of ambiguous) {
      it(`is refused over ${version} before any route is looked for: ${JSON.stringify(target)}`, async () => {
        for (const authorization of ['', credential]) {
          const { status, arrived } = await send(target, authorization);
          assert.ok(status === 400 || status === 0, `${status}`);
          assert.deepEqual(arrived, []);
        }
      });
    }

    for (const target of masked) {
      it(`is on no route over ${version}: ${target}`, async () => {
        for (const authorization of ['', credential])
          assert.deepEqual(await send(target, authorization), { status: 404, arrived: [] });
      });
    }

    for (const target of clear) {
      it(`goes on byte for byte over ${version}: ${target}`, async () => {
        assert.deepEqual(await send(target), { status: 200, arrived: [target] });
      });
    }

    for (const target of guarded) {
      it(`needs a credential over ${version}, and then goes on byte for byte: ${target}`, async () => {
        assert.deepEqual(await send(target), { status: 401, arrived: [] });
        assert.deepEqual(await send(target, credential), { status: 200, arrived: [target] });
      });
    }
  }

  it('is one target: with a space in it, nothing of it is taken for one', async () => {
    for (const target of ['/pub/page /private', '/pub/page HTTP/1.1 ', '/pub /private'])
      assert.deepEqual((await byHttp1(target)).arrived, []);
  });
});

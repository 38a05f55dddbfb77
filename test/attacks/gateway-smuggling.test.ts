import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

/** Heads that two readers end in two places; `@` is where the smuggled request follows. */
const ambiguous: Readonly<Record<string, string>> = {
  'Content-Length before Transfer-Encoding': 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n@',
  'Transfer-Encoding before Content-Length': 'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n@',
  'two Content-Lengths': 'Content-Length: 0\r\nContent-Length: 60\r\n\r\n@',
  'Content-Length twice the same': 'Content-Length: 0\r\nContent-Length: 0\r\n\r\n@',
  'a list of Content-Lengths': 'Content-Length: 0, 60\r\n\r\n@',
  'a coding that nobody knows': 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n@',
  'a coding behind chunked': 'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n@',
  'two Transfer-Encodings': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n@',
  'Transfer-Encoding with an underscore': 'Transfer_Encoding: chunked\r\nContent-Length: 0, 0\r\n\r\n0\r\n\r\n@',
  'a bare LF': 'X: y\nContent-Length: 0\r\n\r\n@',
  'a folded field': 'X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n@',
  'a space before the colon': 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n@',
  'a chunk that is longer than it says': 'Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n@',
  'a chunk size that overflows': 'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n@',
  'a chunk extension with a LF in it': 'Transfer-Encoding: chunked\r\n\r\n1;x\n0\r\n\r\n@\r\n0\r\n\r\n',
  'a NUL in a value': 'X: a\0b\r\nContent-Length: 0\r\n\r\n@',
  'too many fields': `${'X: y\r\n'.repeat(1200)}Content-Length: 0\r\nContent-Length: 60\r\n\r\n@`,
  'an upgrade to cleartext HTTP/2 with a body':
    'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 3, 0\r\n\r\n@',
};

describe('a second request inside the first', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  let cookie: string;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({ upstream: upstream.url });
    ({ cookie } = await rig.signIn());
  });

  for (const [what, bytes] of Object.entries(ambiguous)) {
    it(`never reaches the upstream, nor poisons the next caller: ${what}`, async () => {
      const own = `Host: localhost:${rig.port}\r\nCookie: ${cookie}\r\nOrigin: ${rig.url}\r\n`;
      const smuggled = `GET /smuggled HTTP/1.1\r\n${own}\r\n`;
      const sent = `POST /first HTTP/1.1\r\n${own}${bytes.replace('@', smuggled)}`;
      const answer = await exchangeRaw({ host: '127.0.0.1', port: rig.port }, sent);
      assert.ok([...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].length <= 1, answer);
      // More callers than the connections that the first could have left behind.
      const paths = Array.from({ length: 8 }, (_, i) => `/after-${i}`);
      const after = await Promise.all(paths.map((path) => rig.ask(path, { fields: { cookie } })));
      assert.deepEqual(
        after.map((one) => one.json()['target']),
        paths,
      );
      assert.ok(!upstream.requests.some(({ target }) => target === '/smuggled'));
      for (const { bytes: wire } of upstream.wires) assert.ok(!wire().includes('GET /smuggled'), 'not even as a body');
    });
  }
});

describe('a second answer inside the first', () => {
  it('never becomes the answer of somebody else', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    const rig = await startFakeRig({ upstream: upstream.url });
    const { cookie } = await rig.signIn();
    const body = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison';
    upstream.script({ kind: 'raw', bytes: `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${body}` });
    const poisoned = await Promise.allSettled(
      Array.from({ length: 8 }, () => rig.ask('/first', { fields: { cookie } })),
    );
    for (const one of poisoned) if (one.status === 'fulfilled') assert.doesNotMatch(one.value.text, /poison/);
    upstream.script({ kind: 'echo' });
    const after = await Promise.all(
      Array.from({ length: 16 }, (_, i) => rig.ask(`/after-${i}`, { fields: { cookie } })),
    );
    assert.deepEqual(
      after.map((one) => one.json()['target']),
      after.map((_, i) => `/after-${i}`),
    );
  });
});

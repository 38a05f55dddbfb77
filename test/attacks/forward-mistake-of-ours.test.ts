import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import { talk } from '../forward/front.ts';
import { createHttp2Stage } from '../forward/http2-stage.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
const http2 = createHttp2Stage();
after(async () => {
  await http2.close();
  await stage.close();
});

/** Our own rules, with a mistake that shows at one name. */
const isIdentityHeader = (name: string) => {
  if (name === 'x-bomb') throw new RangeError('a mistake');
  return false;
};

const plain = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const handshake = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';

const cases = [
  ['an interim answer', plain, 'HTTP/1.1 103 Early Hints\r\nX-Bomb: 1\r\n\r\n', /upstream_broken$/],
  ['an answer', plain, 'HTTP/1.1 200 OK\r\nX-Bomb: 1\r\nContent-Length: 0\r\n\r\n', /upstream_broken$/],
  [
    'trailers',
    plain,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Bomb: 1\r\n\r\n',
    /^(?![\s\S]*\r\n0\r\n\r\n)/,
  ],
  ['a refused handshake', handshake, 'HTTP/1.1 403 No\r\nX-Bomb: 1\r\nContent-Length: 0\r\n\r\n', /upstream_broken$/],
  [
    'an agreed handshake',
    handshake,
    'HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Bomb: 1\r\n\r\n',
    /upstream_broken$/,
  ],
] as const;

describe('a mistake of ours that shows while', () => {
  for (const [what, request, answer, heard] of cases)
    it(`${what} is passed on ends that exchange, on both sides, and nothing else`, async () => {
      const { door, upstream } = await stage.answering(answer, { isIdentityHeader, upstream: { idleTimeoutMs: 500 } });
      assert.match(await talk(door.http1Port, request), heard);
      const [socket] = upstream.sockets;
      assert.ok(socket);
      if (!socket.closed) await once(socket, 'close');
    });

  it('the trailers of a request are passed on over HTTP/2 resets it: they are not taken for complete', async () => {
    const reset = new Promise<number | undefined>((resolve) => {
      void startListening(resolve);
    });
    assert.equal(await reset, 2);
  });

  it('a handshake is passed on ends that exchange, and its place is free again', async () => {
    const { door } = await stage.answering('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n', {
      isIdentityHeader,
      upstream: { maxConnections: 1 },
    });
    for (let n = 1; n <= 3; n++) {
      assert.equal(await talk(door.http1Port, handshake.replace('Host', 'X-Bomb: 1\r\nHost')), '');
      assert.equal(door.crashes.length, n);
    }
    assert.match(await talk(door.http1Port, handshake), /^HTTP\/1\.1 403 /);
  });

  it('an answer over HTTP/2 is passed on ends that exchange, and the session goes on', async () => {
    const upstream = await http2.startUpstream((stream, raw) => {
      const bomb = raw.includes('/bomb') ? { 'x-bomb': '1' } : {};
      stream.respond({ ':status': 200, ...bomb }, { endStream: true });
    });
    const door = await http2.front({ upstream: { port: upstream.port }, isIdentityHeader });
    assert.match(await talk(door.http1Port, plain.replace('/ ', '/bomb ')), /upstream_broken$/);
    assert.match(await talk(door.http1Port, plain), /^HTTP\/1\.1 200 /);
    assert.equal(upstream.sessions.length, 1);
  });

  it('trailers over HTTP/2 are passed on breaks the answer off', async () => {
    const upstream = await http2.startUpstream((stream) => {
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-bomb': '1' }));
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.end('a');
    });
    const door = await http2.front({ upstream: { port: upstream.port }, isIdentityHeader });
    const outcome = door.nextOutcome();
    assert.doesNotMatch(await talk(door.http1Port, plain), /\r\n0\r\n\r\n$/);
    assert.deepEqual(await outcome, { kind: 'answered', status: 200, bytes: 1, complete: false });
  });
});

async function startListening(onReset: (code: number | undefined) => void): Promise<void> {
  const upstream = await http2.startUpstream((stream) => {
    stream.resume().on('close', () => onReset(stream.rstCode));
  });
  const door = await http2.front({ upstream: { port: upstream.port }, isIdentityHeader });
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.match(await talk(door.http1Port, `${head}1\r\na\r\n0\r\nX-Bomb: 1\r\n\r\n`), /upstream_broken$/);
}

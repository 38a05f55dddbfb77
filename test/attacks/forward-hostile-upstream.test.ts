import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { startFront, talk } from '../forward/front.ts';
import { startRawUpstream } from '../forward/raw-upstream.ts';

const closers: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const GOOD = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood';

/** The upstream says the hostile bytes once, and behaves from then on. */
async function meet(hostile: string) {
  let count = 0;
  const upstream = await startRawUpstream((socket) => {
    count += 1;
    socket.write(Buffer.from(count === 1 ? hostile : GOOD, 'latin1'));
  });
  const door = await startFront({ upstream: { port: upstream.port, headersTimeoutMs: 1000 } });
  closers.push(upstream.close, door.close);
  return { upstream, door };
}

const refused: readonly (readonly [string, string])[] = [
  [
    'a length and chunks at once',
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n',
  ],
  ['two different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nevil'],
  ['a length that is no number', 'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nevil'],
  ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nevil'],
  ['a folded field', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 4\r\n\r\nevil'],
  ['a NUL in a value', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 4\r\n\r\nevil'],
  ['a bare CR in a value', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 4\r\n\r\nevil'],
  ['garbage', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a switch that nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n'],
  ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`],
];

describe('an upstream that answers with', () => {
  for (const [what, bytes] of refused) {
    it(`${what} is broken, and the next request is not poisoned`, async () => {
      const { door } = await meet(bytes);
      const first = await talk(door.http1Port, GET);
      assert.match(first, /upstream_broken$/);
      assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
    });
  }

  it('more bytes than its length does not answer the next request with them', async () => {
    const injected = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    const { door, upstream } = await meet(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst${injected}`);
    assert.match(await talk(door.http1Port, GET), /\r\n\r\nfirst$/);
    assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
    assert.equal(upstream.sockets.length, 2);
  });

  it('bytes before it was asked does not answer the next request with them', async () => {
    const { door, upstream } = await meet(GOOD);
    assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
    const [idle] = upstream.sockets;
    assert.ok(idle);
    const closed = new Promise((resolve) => idle.once('close', resolve));
    idle.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await closed;
    assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
  });

  it('a body to HEAD, 204 or 304 does not answer the next request with it', async () => {
    const body = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil';
    for (const [method, head] of [
      ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n'],
      ['GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 41\r\n\r\n'],
      ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 41\r\n\r\n'],
    ] as const) {
      const { door } = await meet(head + body);
      assert.doesNotMatch(await talk(door.http1Port, GET.replace('GET', method)), /evil/);
      assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
    }
  });

  it('a chunk that is none breaks the connection of the caller, not of the next one', async () => {
    const { door } = await meet('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nXYZ\r\n');
    const first = await talk(door.http1Port, GET);
    assert.doesNotMatch(first, /\r\n0\r\n\r\n$/);
    assert.match(await talk(door.http1Port, GET), /\r\n\r\ngood$/);
  });

  it('interim answers without end is broken off', async () => {
    const upstream = await startRawUpstream((socket) => {
      const more = () => {
        if (socket.destroyed) return;
        if (socket.write('HTTP/1.1 102 Processing\r\n\r\n'.repeat(10))) setImmediate(more);
        else socket.once('drain', more);
      };
      more();
    });
    const door = await startFront({ upstream: { port: upstream.port, headersTimeoutMs: 300 } });
    closers.push(upstream.close, door.close);
    assert.match(await talk(door.http1Port, GET), /upstream_broken$/);
  });

  it('nothing at all lets a caller leave, and the connection is not reused', async () => {
    const upstream = await startRawUpstream(() => undefined);
    const door = await startFront({ upstream: { port: upstream.port } });
    closers.push(upstream.close, door.close);
    const caller = connect(door.http1Port, '127.0.0.1');
    caller.write(GET);
    while (upstream.received[0]?.endsWith('\r\n\r\n') !== true) await new Promise(setImmediate);
    const [socket] = upstream.sockets;
    assert.ok(socket);
    const closed = once(socket, 'close');
    caller.destroy();
    await closed;
  });
});

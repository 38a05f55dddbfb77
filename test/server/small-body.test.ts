import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Exchange } from '../../src/server/exchange.ts';
import { readSmallBody, type SmallBody } from '../../src/server/small-body.ts';
import { openSession } from './http2-client.ts';
import { openPort } from './port.ts';
import { connectRaw } from './raw-connection.ts';

/** A port that says of each body how it was read, and hands it out. */
async function openReader(limits: { maxBytes?: number; timeoutMs?: number } = {}, before?: () => Promise<void>) {
  const bodies: SmallBody[] = [];
  const waiting: ((body: SmallBody) => void)[] = [];
  const handler = async (exchange: Exchange) => {
    await before?.();
    const body = await readSmallBody(exchange, { maxBytes: 10, timeoutMs: 5000, ...limits });
    const taker = waiting.shift();
    if (taker) taker(body);
    else bodies.push(body);
    exchange.send({ status: 200, fields: [], body: body.kind === 'whole' ? Buffer.from(body.bytes) : body.kind });
  };
  const port = await openPort({ handler });
  const next = () => {
    const known = bodies.shift();
    return known ? Promise.resolve(known) : new Promise<SmallBody>((resolve) => waiting.push(resolve));
  };
  return { port, next };
}

const post = (rest: string) => `POST / HTTP/1.1\r\nHost: x\r\n${rest}`;

describe('readSmallBody', () => {
  for (const [what, request, kind] of [
    ['a body', post('Content-Length: 5\r\n\r\nhello'), 'hello'],
    ['chunks', post('Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n'), 'hello'],
    ['nothing', post('Content-Length: 0\r\n\r\n'), ''],
    ['no body at all', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', ''],
    ['exactly as much as it may be', post('Content-Length: 10\r\n\r\n0123456789'), '0123456789'],
    ['a byte more', post('Content-Length: 11\r\n\r\n0123456789a'), 'too-long'],
    ['chunks without end', post(`Transfer-Encoding: chunked\r\n\r\nff\r\n${'x'.repeat(255)}\r\n`), 'too-long'],
  ] as const) {
    it(`reads ${what}, at once and after a while`, async () => {
      for (const before of [undefined, () => turn()]) {
        const { port } = await openReader({}, before);
        const connection = await connectRaw(port);
        connection.send(request);
        await connection.until(`\r\n\r\n${kind}`);
      }
    });
  }

  it('gives up on a body that does not come, and the connection goes on when it does', async () => {
    const { port } = await openReader({ timeoutMs: 20 });
    const connection = await connectRaw(port);
    connection.send(post('Content-Length: 5\r\n\r\nhe'));
    await connection.until('too-late');
    connection.send(`llo${post('Content-Length: 3\r\n\r\nnew')}`);
    await connection.until('\r\n\r\nnew');
  });

  it('hears of callers that leave in the middle', async () => {
    const { port, next } = await openReader();
    const connection = await connectRaw(port);
    connection.send(post('Content-Length: 5\r\n\r\nhe'));
    connection.socket.destroy();
    assert.equal((await next()).kind, 'lost');
  });

  it('hears of callers that left before anybody read', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { port, next } = await openReader({}, () => promise);
    const connection = await connectRaw(port);
    connection.send(post('Content-Length: 5\r\n\r\nhe'));
    while (port.seen.length === 0) await turn();
    connection.socket.destroy();
    while (!port.seen[0]?.isGone) await turn();
    resolve();
    assert.equal((await next()).kind, 'lost');
  });

  it('does the same over HTTP/2', async () => {
    const { port, next } = await openReader();
    const session = openSession(port.port);
    const send = (body: string) => {
      const stream = session.request({ ':method': 'POST', ':path': '/' });
      stream.on('error', () => undefined); // its reset is what is tested
      stream.resume();
      stream.write(body);
      return stream;
    };
    send('hello').end();
    assert.deepEqual(await next(), { kind: 'whole', bytes: Buffer.from('hello') });
    send('x'.repeat(100_000));
    assert.equal((await next()).kind, 'too-long');
    send('he');
    while (port.seen.length < 3) await turn();
    session.destroy();
    assert.equal((await next()).kind, 'lost');
  });
});

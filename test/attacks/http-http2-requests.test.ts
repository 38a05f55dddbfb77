import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { assertOthersAreServed, openSession } from '../server/http2-client.ts';
import { type OpenPort, openPort } from '../server/port.ts';
import * as h2 from '../server/raw-http2.ts';

describe('an HTTP/2 request', () => {
  async function statusOf(port: OpenPort, fields: Record<string, string | string[]>): Promise<number | string> {
    const session = openSession(port.port);
    const stream = session.request({ ':path': '/', ...fields });
    return new Promise((resolve) => {
      stream.once('response', (headers) => resolve(Number(headers[':status'])));
      stream.once('error', () => resolve(`reset ${stream.rstCode}`));
      stream.resume();
    });
  }

  for (const [name, fields, status] of [
    ['whose :authority and Host differ', { ':authority': 'a.test', host: 'b.test' }, 400],
    ['whose :authority and Host differ in the port', { ':authority': 'a.test', host: 'a.test:80' }, 400],
    ['whose :authority has a port that is no number', { ':authority': 'a.test:x' }, 400],
    ['whose :authority has an escape', { ':authority': 'a%2etest' }, 400],
    ['whose :authority and Host are the same', { ':authority': 'a.test', host: 'A.test' }, 200],
    ['by TRACE', { ':method': 'TRACE' }, 405],
    ['by trace', { ':method': 'trace' }, 501],
    ['by an unknown method', { ':method': 'FOO' }, 501],
    ['with an unknown expectation', { expect: 'the-unexpected' }, 417],
  ] as const) {
    it(`${name} is answered ${status}`, async () => {
      const port = await openPort();
      assert.equal(await statusOf(port, fields), status);
      assert.equal(port.seen.length, status === 200 ? 1 : 0);
    });
  }

  it('by CONNECT is answered 405', async () => {
    const port = await openPort();
    const session = openSession(port.port);
    const stream = session.request({ ':method': 'CONNECT', ':authority': 'b.test:443' });
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 405);
    assert.equal(port.seen.length, 0);
  });

  for (const [name, fields] of Object.entries({
    'no host at all': h2.plainGet.filter(([field]) => field !== ':authority'),
    'two Hosts': [...h2.plainGet.filter(([field]) => field !== ':authority'), ['host', 'a.test'], ['host', 'a.test']],
    'an empty :authority': [...h2.plainGet.filter(([field]) => field !== ':authority'), [':authority', '']],
  } satisfies Record<string, ReadonlyArray<readonly [string, string]>>)) {
    it(`that names ${name} never reaches the handler`, async () => {
      const port = await openPort();
      const connection = await h2.connectFrames(port);
      connection.send(Buffer.concat([h2.requestFrame(1, fields), h2.requestFrame(3)]));
      await connection.until('GET /');
      assert.equal(port.seen.length, 1);
    });
  }

  it('that names its host in Host alone is served', async () => {
    const port = await openPort();
    const connection = await h2.connectFrames(port);
    connection.send(
      h2.requestFrame(1, [...h2.plainGet.filter(([field]) => field !== ':authority'), ['host', 'b.test']]),
    );
    await connection.until('GET /');
    assert.equal(port.seen[0]?.head.authority, 'b.test');
  });

  it('with more fields than the limit is answered 431, with far more it is reset', async () => {
    const port = await openPort({ limits: { headerCount: 20 } });
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`x${i}`, 'y']));
    assert.equal(await statusOf(port, many(20)), 200);
    assert.equal(await statusOf(port, many(21)), 431);
    assert.equal(await statusOf(port, many(300)), 'reset 11');
    assert.equal(port.seen.length, 1);
  });

  it('with as many fields as the limit allows is served', async () => {
    const port = await openPort();
    assert.equal(await statusOf(port, Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x${i}`, 'y']))), 200);
  });

  it('with more field bytes than the limit is answered 431, although the limit is not acknowledged yet', async () => {
    const port = await openPort({ limits: { headerBytes: 16_384 } });
    assert.equal(await statusOf(port, { x: 'y'.repeat(20_000) }), 431);
    assert.equal(port.seen.length, 0);
    await assertOthersAreServed(port);
  });

  it('whose few bytes unfold to many is reset', async () => {
    const port = await openPort({ limits: { headerBytes: 16_384, headerCount: 10_000 } });
    const connection = await h2.connectFrames(port);
    // One field of 3,000 bytes goes into the dynamic table, where one byte names it: 5,000 times.
    const stored = Buffer.concat([
      Buffer.from([0x40, 1]),
      Buffer.from('x'),
      Buffer.from([0x7f, 0xb9, 0x16]),
      Buffer.alloc(3000, 'y'),
    ]);
    const bomb = Buffer.concat([h2.fieldBlock(h2.plainGet), stored, Buffer.alloc(5000, 0xbe)]);
    // Acknowledged, our settings are in force.
    connection.send(h2.frame(h2.SETTINGS, h2.ACK, 0));
    connection.send(Buffer.concat([h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, bomb), h2.requestFrame(3)]));
    await connection.until('GET /');
    assert.equal(port.seen.length, 1);
    assert.ok(h2.framesIn(connection.received()).some(h2.isFor(h2.RST_STREAM, 1)));
    await assertOthersAreServed(port);
  });

  it('over the number of streams at once is refused, and those below it are served', async () => {
    const answers: Array<() => void> = [];
    const port = await openPort({
      limits: { streamsPerConnection: 5 },
      handler: (exchange) => {
        answers.push(() => exchange.send({ status: 200, fields: [], body: exchange.head.target }));
      },
    });
    const connection = await h2.connectFrames(port);
    connection.send(Buffer.concat(h2.requestIds(20).map((id) => h2.requestFrame(id))));
    connection.send(h2.frame(h2.PING, 0, 0, Buffer.from('all sent')));
    await connection.until('all sent');
    assert.equal(answers.length, 5);
    for (const answer of answers) answer();
    while (h2.framesIn(connection.received()).filter(({ type }) => type === h2.DATA).length < 5)
      await once(connection.socket, 'data');
    assert.ok(h2.framesIn(connection.received()).some(h2.isFor(h2.RST_STREAM, 39)));
  });

  it('over the number of streams that the caller has acknowledged ends the connection', async () => {
    const port = await openPort({ limits: { streamsPerConnection: 5 }, handler: () => undefined });
    const connection = await h2.connectFrames(port);
    connection.send(h2.frame(h2.SETTINGS, h2.ACK, 0));
    connection.send(Buffer.concat(h2.requestIds(20).map((id) => h2.requestFrame(id))));
    await connection.ended();
    assert.ok(port.seen.length <= 5);
  });

  it('whose caller takes one byte at a time holds up nobody else', async () => {
    const port = await openPort();
    const connection = await h2.connectFrames(port, Buffer.from([0, 4, 0, 0, 0, 1]));
    connection.send(h2.requestFrame(1));
    for (let i = 0; i < 4; i++) connection.send(h2.frame(h2.WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0, 1])));
    await assertOthersAreServed(port);
    while (bodyOf(connection.received()) !== 'GET /') await once(connection.socket, 'data');
  });

  it('is still answered when the caller says GOAWAY behind it', async () => {
    let answer = () => {};
    const port = await openPort({
      handler: (exchange) => {
        answer = () => exchange.send({ status: 200, fields: [], body: 'answered' });
      },
    });
    const connection = await h2.connectFrames(port);
    connection.send(Buffer.concat([h2.requestFrame(1), h2.frame(h2.GOAWAY, 0, 0, Buffer.alloc(8))]));
    while (port.seen.length === 0) await new Promise(setImmediate);
    setImmediate(answer);
    await connection.until('answered');
    await connection.ended();
  });

  it('whose body is longer than the window it was given is cut off', async () => {
    const port = await openPort({ handler: () => undefined });
    const connection = await h2.connectFrames(port);
    connection.send(h2.frame(h2.SETTINGS, h2.ACK, 0));
    connection.send(
      h2.frame(h2.HEADERS, h2.END_HEADERS, 1, h2.fieldBlock([[':method', 'POST'], ...h2.plainGet.slice(1)])),
    );
    connection.send(h2.repeat(h2.frame(h2.DATA, 0, 1, Buffer.alloc(16_384)), 80));
    await connection.ended();
    const ends = h2.framesIn(connection.received()).filter(({ type }) => type === h2.RST_STREAM || type === h2.GOAWAY);
    assert.ok(ends.length > 0);
  });
});

function bodyOf(received: string): string {
  return h2
    .framesIn(received)
    .filter(h2.isFor(h2.DATA, 1))
    .map(({ payload }) => payload.toString('latin1'))
    .join('');
}

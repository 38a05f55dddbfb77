import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, describe, it } from 'node:test';
import type { Exchange } from '../../src/server/exchange.ts';
import { openSession } from '../server/http2-client.ts';
import { openPort } from '../server/port.ts';
import { connectRaw, exchangeRaw, statusesIn } from '../server/raw-connection.ts';

const get = (target: string) => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`;
const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Resolves when the caller of an exchange is gone. */
function gone({ wire }: Exchange): Promise<unknown> {
  if (wire.kind === 'http1') return once(wire.response, 'close');
  return once(wire.kind === 'http2' ? wire.stream : wire.socket, 'close');
}

describe('a caller that keeps the port waiting is cut off', () => {
  it('when it sends nothing at all', async () => {
    const port = await openPort({ limits: { firstByteMs: 80 } });
    const connection = await connectRaw(port);
    assert.equal(await connection.ended(), '');
  });

  for (const [name, part] of Object.entries({
    'half of the HTTP/2 preface': preface.slice(0, 12),
    'a first byte that could be both': 'P',
  })) {
    it(`when it leaves the choice of a protocol open: ${name}`, async () => {
      const port = await openPort({ limits: { headersMs: 80 } });
      assert.equal(await exchangeRaw(port, part), '');
    });
  }

  it('when it says goodbye before it said anything', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.socket.end();
    assert.equal(await connection.ended(), '');
  });

  for (const [name, part] of Object.entries({
    'a request line without an end': 'GET / HT',
    'a head without an end': 'GET / HTTP/1.1\r\nHost: a.test\r\n',
  })) {
    it(`with 408 when its head takes too long: ${name}`, async () => {
      const port = await openPort({ limits: { headersMs: 100 } });
      assert.deepEqual(statusesIn(await exchangeRaw(port, part)), [408]);
      assert.equal(port.seen.length, 0);
    });
  }

  it('with 408 when the head of its second request takes too long', async () => {
    const port = await openPort({ limits: { headersMs: 100 } });
    assert.deepEqual(statusesIn(await exchangeRaw(port, `${get('/')}GET /second HTTP/1.1\r\n`)), [200, 408]);
    assert.equal(port.seen.length, 1);
  });

  it('when it drips its head byte by byte', async () => {
    const port = await openPort({ limits: { headersMs: 150, bodyIdleMs: 100 } });
    const connection = await connectRaw(port);
    connection.send('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => connection.send('x'), 20);
    after(() => clearInterval(drip));
    assert.deepEqual(statusesIn(await connection.ended()), [408]);
  });

  it('when its connection idles after an answer', async () => {
    const port = await openPort({ limits: { idleMs: 100 } });
    const answer = await exchangeRaw(port, get('/'));
    assert.deepEqual(statusesIn(answer), [200]);
  });

  for (const [name, head] of Object.entries({
    'Content-Length': 'Content-Length: 10\r\n\r\nabc',
    chunked: 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
  })) {
    it(`when its body stands still: ${name}`, async () => {
      let isGone: Promise<unknown> | undefined;
      const port = await openPort({
        limits: { bodyIdleMs: 100 },
        handler: (exchange) => {
          isGone = gone(exchange);
          if (exchange.wire.kind === 'http1') exchange.wire.request.resume();
        },
      });
      assert.equal(await exchangeRaw(port, `POST / HTTP/1.1\r\nHost: a.test\r\n${head}`), '');
      await isGone;
    });
  }

  it('when it does not read its answer', async () => {
    let isGone: Promise<unknown> | undefined;
    const port = await openPort({
      limits: { bodyIdleMs: 100 },
      handler: (exchange) => {
        isGone = gone(exchange);
        if (exchange.wire.kind !== 'http1') return;
        exchange.wire.response.writeHead(200);
        exchange.wire.response.write(Buffer.alloc(32 * 1024 * 1024));
      },
    });
    const connection = await connectRaw(port);
    connection.socket.pause();
    connection.send(get('/'));
    while (!isGone) await new Promise(setImmediate);
    await isGone;
  });

  it('when it does not read an answer that was complete at once', async () => {
    let isGone: Promise<unknown> | undefined;
    const port = await openPort({
      limits: { bodyIdleMs: 100 },
      handler: (exchange) => {
        isGone = gone(exchange);
        exchange.send({ status: 200, fields: [], body: 'x'.repeat(32 * 1024 * 1024) });
      },
    });
    const connection = await connectRaw(port);
    connection.socket.pause();
    connection.send(get('/'));
    while (!isGone) await new Promise(setImmediate);
    await isGone;
  });

  it('when there are more connections than the limit, and only the newest', async () => {
    const port = await openPort({ limits: { connections: 2 } });
    const first = await connectRaw(port);
    const second = await connectRaw(port);
    const third = await connectRaw(port);
    assert.equal(await third.ended(), '');
    for (const connection of [first, second]) {
      connection.send(get('/'));
      assert.deepEqual(statusesIn(await connection.until('GET /')), [200]);
    }
  });

  it('when it pipelines more requests than anybody does', async () => {
    const port = await openPort({ handler: () => undefined });
    assert.equal(await exchangeRaw(port, get('/').repeat(2000)), '');
    assert.ok(port.seen.length <= 101, `${port.seen.length} at once`);
  });

  it('over HTTP/2 when its connection idles', async () => {
    const port = await openPort({ limits: { idleMs: 100 } });
    const session = openSession(port.port);
    await once(session, 'close');
  });

  it('over HTTP/2 when the body of a stream stands still', async () => {
    const port = await openPort({ limits: { bodyIdleMs: 100 }, handler: () => undefined });
    const session = openSession(port.port);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => undefined); // the reset that is asserted below
    stream.write('abc');
    await once(stream, 'close');
    assert.equal(stream.rstCode, 8);
    assert.equal(session.closed, false);
  });

  it('over HTTP/2 when it gives no room for its answer', async () => {
    const port = await openPort({
      limits: { bodyIdleMs: 100 },
      handler: ({ wire }) => {
        if (wire.kind !== 'http2') return;
        wire.stream.respond({ ':status': 200 });
        wire.stream.write(Buffer.alloc(1_000_000));
      },
    });
    const session = openSession(port.port);
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => undefined); // the reset that is asserted below
    await new Promise((resolve) => stream.once('aborted', resolve).once('close', resolve));
    assert.equal(stream.rstCode, 8);
  });

  it('over HTTP/2 when it says goodbye', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.send(`${preface}\0\0\0\x04\0\0\0\0\0`);
    await connection.until('\x04');
    connection.socket.end();
    await connection.ended();
  });
});

describe('a caller that is kept waiting by us is not cut off', () => {
  it('while the handler takes its time', async () => {
    let finish = () => {};
    const port = await openPort({
      limits: { bodyIdleMs: 50, idleMs: 50, headersMs: 50 },
      handler: (exchange) => {
        finish = () => exchange.send({ status: 200, fields: [], body: 'late' });
        if (exchange.wire.kind !== 'http1') return;
        exchange.wire.response.on('timeout', () => setImmediate(finish));
      },
    });
    const connection = await connectRaw(port);
    connection.send(get('/'));
    assert.deepEqual(statusesIn(await connection.until('late')), [200]);
  });

  it('while its body waits for somebody to read it', async () => {
    const port = await openPort({
      limits: { bodyIdleMs: 50 },
      handler: (exchange) => {
        if (exchange.wire.kind !== 'http1') return;
        // Full up to the brim: the body stands still because of us.
        exchange.wire.response.on('timeout', () =>
          setImmediate(() => exchange.send({ status: 200, fields: [], body: 'late' })),
        );
      },
    });
    const connection = await connectRaw(port);
    connection.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 8000000\r\n\r\n${'x'.repeat(1_000_000)}`);
    assert.deepEqual(statusesIn(await connection.until('late')), [200]);
  });

  it('while an RPC stream pauses', async () => {
    const port = await openPort({
      limits: { bodyIdleMs: 50 },
      handler: ({ wire }) => {
        if (wire.kind !== 'http2') return;
        wire.stream.on('timeout', () =>
          setImmediate(() => {
            if (wire.stream.closed || wire.stream.headersSent) return;
            wire.stream.respond({ ':status': 200 });
            wire.stream.end();
          }),
        );
      },
    });
    const session = openSession(port.port);
    const stream = session.request(
      { ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' },
      { endStream: false },
    );
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants } from 'node:http2';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { ask, closeCode, openSession } from './http2-client.ts';
import { openPort } from './port.ts';
import { connectRaw, exchangeRaw, statusesIn } from './raw-connection.ts';

describe('a whole reply', () => {
  it('has a Date and its length, and no word about who made it', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    assert.match(answer, /\r\nContent-Length: 5\r\n/);
    assert.match(answer, /\r\nDate: /);
    assert.doesNotMatch(answer, /server:|powered/i);
  });

  it('carries field values byte for byte, also beside a text that is not ASCII', async () => {
    const value = Buffer.from('王').toString('latin1');
    for (const body of ['ascii', 'wörter 王']) {
      const port = await openPort({
        handler: (exchange) => exchange.send({ status: 200, fields: ['X-User', value], body }),
      });
      const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
      assert.ok(answer.includes(`X-User: ${value}\r\n`), answer);
      assert.ok(answer.endsWith(Buffer.from(body).toString('latin1')), answer);
      const response = await ask(openSession(port.port));
      assert.equal(response.body, body);
    }
  });

  for (const [name, fields] of Object.entries({
    'a line break': ['X-A', 'a\r\nSet-Cookie: b=c'],
    'a NUL': ['X-A', 'a\0set-cookie\0b=c\0'],
    'a character above U+00FF': ['X-A', '王'],
    'a line break in a name': ['X-A\r\nX-B', 'a'],
  })) {
    it(`is a 500 rather than written with ${name}`, async () => {
      const port = await openPort({ handler: (exchange) => exchange.send({ status: 200, fields }) });
      const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
      assert.deepEqual(statusesIn(answer), [500]);
      assert.ok(!answer.includes('Set-Cookie'));
      assert.equal((await ask(openSession(port.port))).status, 500);
    });
  }

  it('has no body for HEAD, but the length that it would have', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(port, 'HEAD / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    assert.match(answer, /\r\nContent-Length: 6\r\n/);
    assert.ok(answer.endsWith('\r\n\r\n'));
    const stream = openSession(port.port).request({ ':method': 'HEAD', ':path': '/' });
    const [headers] = await once(stream, 'response');
    assert.equal(headers['content-length'], '6');
    assert.equal(await text(stream), '');
  });

  it('keeps fields that come more than once', async () => {
    const port = await openPort({
      handler: (exchange) => exchange.send({ status: 204, fields: ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'] }),
    });
    const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    assert.match(answer, /Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n/);
    assert.doesNotMatch(answer, /content-length/i);
    const stream = openSession(port.port).request({ ':path': '/' });
    const [headers] = await once(stream, 'response');
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
  });

  it('reaches a caller that is still sending a long body, and closes the connection', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 50000000\r\n\r\n${'x'.repeat(2_000_000)}`);
    const answer = await connection.ended();
    assert.deepEqual(statusesIn(answer), [200]);
    assert.match(answer, /connection: close/i);
  });

  it('saves the connection when the body that nobody reads is short', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.send('POST /1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\n');
    await connection.until('POST /1');
    connection.send('abcGET /2 HTTP/1.1\r\nHost: a.test\r\n\r\n');
    assert.deepEqual(statusesIn(await connection.until('GET /2')), [200, 200]);
  });

  it('cancels the body of an HTTP/2 request that nobody reads, without an error', async () => {
    const port = await openPort();
    const stream = openSession(port.port).request({ ':method': 'POST', ':path': '/' });
    stream.write('x');
    assert.equal(await text(stream), 'POST /');
    assert.equal(await closeCode(stream), 0);
  });

  it('is sent once: what comes after is dropped', async () => {
    const port = await openPort({
      handler: (exchange) => {
        exchange.send({ status: 200, fields: [], body: 'one' });
        exchange.send({ status: 500, fields: [], body: 'two' });
      },
    });
    const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
    assert.deepEqual(statusesIn(answer), [200]);
    assert.equal((await ask(openSession(port.port))).body, 'one');
  });

  it('to a caller who is gone is dropped', async () => {
    const port = await openPort({
      handler: async (exchange) => {
        if (exchange.wire.kind === 'http1') await once(exchange.wire.response, 'close');
        if (exchange.wire.kind === 'http2') await once(exchange.wire.stream, 'close');
        exchange.send({ status: 200, fields: [] });
        port.listener.drain();
      },
    });
    const connection = await connectRaw(port);
    connection.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    while (port.seen.length < 1) await new Promise(setImmediate);
    connection.socket.destroy();
    await port.listener.stop(5000);
    assert.ok(port.events.every(({ event }) => event !== 'request.crashed'));
  });
});

describe('an exchange tells that nobody is left to answer', () => {
  const get = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n';
  for (const [name, bytes] of Object.entries({
    'HTTP/1.1': get,
    'HTTP/1.1, of each request in line': get + get,
    'HTTP/1.1, in the middle of a body': get
      .replace('GET', 'POST')
      .replace('\r\n\r\n', '\r\nContent-Length: 9\r\n\r\nabc'),
    'a WebSocket handshake': get.replace('\r\n\r\n', '\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
  })) {
    it(`over ${name}, from the moment its connection is closed`, async () => {
      const port = await openPort({ handler: () => undefined });
      const connection = await connectRaw(port);
      connection.send(bytes);
      while (port.seen.length < bytes.split('GET /').length - 1 || port.seen.length === 0) {
        await new Promise(setImmediate);
      }
      assert.ok(port.seen.every(({ isGone }) => !isGone));
      const { wire } = port.seen[0] ?? assert.fail('nothing came');
      assert.ok(wire.kind !== 'http2');
      const closed = new Promise((resolve) => wire.request.socket.once('close', resolve));
      connection.socket.resetAndDestroy();
      await closed;
      assert.ok(port.seen.every(({ isGone }) => isGone));
      for (const exchange of port.seen) exchange.send({ status: 200, fields: [] });
    });
  }

  it('over HTTP/2, from the moment its stream is closed, and not that of another', async () => {
    const port = await openPort({ handler: () => undefined });
    const session = openSession(port.port);
    const streams = ['/left', '/stays'].map((path) => session.request({ ':path': path }));
    while (port.seen.length < 2) await new Promise(setImmediate);
    const gone = () => port.seen.filter(({ isGone }) => isGone).map(({ head }) => head.target);
    assert.deepEqual(gone(), []);
    streams[0]?.close(constants.NGHTTP2_CANCEL);
    while (gone().length === 0) await new Promise(setImmediate);
    assert.deepEqual(gone(), ['/left']);
  });

  it('over HTTP/1.1 also before Node has told anybody', async () => {
    const closed = Promise.withResolvers<boolean>();
    const port = await openPort({
      handler: (exchange) => {
        if (exchange.wire.kind === 'http1') exchange.wire.request.socket.destroy();
        closed.resolve(exchange.isGone);
      },
    });
    await exchangeRaw(port, get);
    assert.ok(await closed.promise);
  });

  it('also when it has been answered', async () => {
    const port = await openPort();
    await exchangeRaw(port, get.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    assert.equal(port.seen[0]?.isGone, true);
  });
});

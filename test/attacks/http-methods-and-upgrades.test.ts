import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openPort } from '../server/port.ts';
import { connectRaw, exchangeRaw, statusesIn } from '../server/raw-connection.ts';

describe('a method that is never forwarded', () => {
  for (const [request, status] of [
    ['CONNECT b.test:443 HTTP/1.1', 405],
    ['CONNECT / HTTP/1.1', 405],
    ['TRACE / HTTP/1.1', 405],
    ['TRACK / HTTP/1.1', 400],
    ['get / HTTP/1.1', 400],
    ['FOO / HTTP/1.1', 400],
    ['G\xcbT / HTTP/1.1', 400],
  ] as const) {
    it(`is answered ${status} before the handler sees it, and the connection closed: ${request}`, async () => {
      const port = await openPort();
      const answer = await exchangeRaw(
        port,
        `${request}\r\nHost: a.test\r\n\r\nGET /next HTTP/1.1\r\nHost: a.test\r\n\r\n`,
      );
      assert.deepEqual(statusesIn(answer), [status]);
      assert.match(answer, /connection: close/i);
      assert.equal(port.seen.length, 0);
    });
  }

  for (const version of ['HTTP/0.9', 'HTTP/1.2', 'HTTP/2.0', 'HTTP/3.0', 'HTTP/1.10', 'HTTP/1', 'ICE/1.0', '']) {
    it(`is not saved by an unknown protocol version: "${version}"`, async () => {
      const port = await openPort();
      const answer = await exchangeRaw(port, `GET / ${version}\r\nHost: a.test\r\n\r\n`);
      assert.ok([400, 505].includes(statusesIn(answer)[0] ?? 0), answer);
      assert.equal(port.seen.length, 0);
    });
  }
});

describe('an upgrade', () => {
  const h2c = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';

  it('to h2c is ignored and the request answered as HTTP/1.1; nothing behind it is taken for a request', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.send(`GET /one HTTP/1.1\r\nHost: a.test\r\n${h2c}\r\nGET /two HTTP/1.1\r\nX: `);
    await connection.until('GET /one');
    connection.send('GET /three HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const answer = await connection.ended();
    assert.deepEqual(statusesIn(answer), [200]);
    assert.match(answer, /connection: close/i);
    assert.deepEqual(
      port.seen.map(({ wire, head }) => `${wire.kind} ${head.target}`),
      ['http1 /one'],
    );
  });

  for (const [name, head] of Object.entries({
    'to an unknown protocol': 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n',
    'to a list of protocols': 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n',
    'to a repeated protocol':
      'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n',
    'to TLS': 'OPTIONS / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n',
    'by POST': 'POST / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n',
    'in HTTP/1.0': 'GET / HTTP/1.0\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n',
  })) {
    it(`is ignored: ${name}`, async () => {
      const port = await openPort();
      assert.deepEqual(statusesIn(await exchangeRaw(port, `${head}\r\n`)), [200]);
      assert.equal(port.seen[0]?.wire.kind, 'http1');
    });
  }

  it('that hides a request in a body is an ordinary request with a body, and the last', async () => {
    const hidden = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
    const port = await openPort();
    const answer = await exchangeRaw(
      port,
      `GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`,
    );
    assert.deepEqual(
      port.seen.map(({ head, wire }) => `${wire.kind} ${head.target}`),
      ['http1 /'],
    );
    assert.deepEqual(statusesIn(answer), [200]);
  });

  it('behind a request that still waits for its answer closes the connection', async () => {
    const port = await openPort({ handler: () => undefined });
    const answer = await exchangeRaw(
      port,
      'GET /waits HTTP/1.1\r\nHost: a.test\r\n\r\nGET /socket HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    assert.equal(answer, '');
    assert.deepEqual(
      port.seen.map(({ head }) => head.target),
      ['/waits'],
    );
  });

  it('with two Hosts is refused as any request is', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(
      port,
      'GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    assert.deepEqual(statusesIn(answer), [400]);
    assert.equal(port.seen.length, 0);
  });

  it('to a WebSocket that is refused gets the whole answer, and then the end of the connection', async () => {
    const port = await openPort({
      handler: (exchange) => exchange.send({ status: 401, fields: ['X-Name', 'W\xc3\xa4rter'], body: 'wörter' }),
    });
    const answer = await exchangeRaw(
      port,
      'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n\r\nearly frames',
    );
    assert.equal(port.seen[0]?.wire.kind, 'upgrade');
    assert.match(
      answer,
      /^HTTP\/1\.1 401 Unauthorized\r\nX-Name: W\xc3\xa4rter\r\nContent-Length: 7\r\nDate: [^\r]+\r\nConnection: close\r\n\r\nw\xc3\xb6rter$/,
    );
  });
});

describe('an expectation', () => {
  it('of 100-continue is met', async () => {
    const port = await openPort();
    const connection = await connectRaw(port);
    connection.send('POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
    assert.deepEqual(statusesIn(await connection.until('POST /')), [100, 200]);
  });

  it('of anything else is answered 417 and the connection closed', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(
      port,
      'POST / HTTP/1.1\r\nHost: a.test\r\nExpect: the-unexpected\r\nContent-Length: 3\r\n\r\nabcGET /next HTTP/1.1\r\nHost: a.test\r\n\r\n',
    );
    assert.deepEqual(statusesIn(answer), [417]);
    assert.equal(port.seen.length, 0);
  });
});

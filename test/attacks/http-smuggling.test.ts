import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openPort } from '../server/port.ts';
import { connectRaw, exchangeRaw, statusesIn } from '../server/raw-connection.ts';

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n';
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** Requests whose end two readers could see in two places. The one that follows must never be taken for a request. */
const ambiguous: Readonly<Record<string, string>> = {
  'Content-Length and Transfer-Encoding': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding and Content-Length': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
  'two different Content-Lengths': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  'the same Content-Length twice': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n${smuggled}`,
  'a list of Content-Lengths': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0, 0\r\n\r\n${smuggled}`,
  'a Content-Length with a sign': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: +0\r\n\r\n${smuggled}`,
  'a negative Content-Length': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: -1\r\n\r\n${smuggled}`,
  'a hexadecimal Content-Length': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0x0\r\n\r\n${smuggled}`,
  'a Content-Length that overflows': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 18446744073709551616\r\n\r\n${smuggled}`,
  'a Content-Length with a space inside': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0 0\r\n\r\n${smuggled}`,
  'an empty Content-Length': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: \r\n\r\n${smuggled}`,
  'an unknown transfer coding': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: identity\r\n\r\n${smuggled}`,
  'a coding before chunked': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a coding after chunked': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
  'chunked twice': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'two Transfer-Encodings': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a quoted coding': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${smuggled}`,
  xchunked: `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a vertical tab before chunked': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'Transfer-Encoding in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a bare LF after a field': `POST / HTTP/1.1\r\nHost: a.test\r\nX: y\nContent-Length: 0\r\n\r\n${smuggled}`,
  'bare LFs all over': `POST / HTTP/1.1\nHost: a.test\nContent-Length: 0\n\n${smuggled}`,
  'a bare CR inside a value': `POST / HTTP/1.1\r\nHost: a.test\r\nX: y\rContent-Length: 7\r\n\r\n${smuggled}`,
  'a folded field': `POST / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n Content-Length: 7\r\n\r\n${smuggled}`,
  'a folded Transfer-Encoding': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a space before the colon': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length : 0\r\n\r\n${smuggled}`,
  'a tab before the colon': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
  'a space before the first field': `POST / HTTP/1.1\r\n Host: a.test\r\nContent-Length: 0\r\n\r\n${smuggled}`,
  'a field without a colon': `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length\r\n\r\n${smuggled}`,
  'a field without a name': `POST / HTTP/1.1\r\nHost: a.test\r\n: 0\r\n\r\n${smuggled}`,
  'a NUL in a field name': `POST / HTTP/1.1\r\nHost: a.test\r\nContent\0-Length: 0\r\n\r\n${smuggled}`,
  'a NUL in a value': `POST / HTTP/1.1\r\nHost: a.test\r\nX: a\0b\r\n\r\n${smuggled}`,
  'a chunk size that is no number': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${smuggled}`,
  'a chunk size with a sign': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n${smuggled}`,
  'a chunk size with 0x': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${smuggled}`,
  'a chunk size that overflows': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n${smuggled}`,
  'a chunk longer than its size': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${smuggled}`,
  'a chunk size that ends in LF': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n${smuggled}`,
  'a chunk extension that hides a LF': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n${smuggled}`,
  'a chunk extension with a bare CR': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\nx\r\n0\r\n\r\n${smuggled}`,
  'a chunk extension with a NUL': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;\0\r\nx\r\n0\r\n\r\n${smuggled}`,
  'endless chunk extensions': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(20_000)}\r\nx\r\n0\r\n\r\n${smuggled}`,
  'a trailer without an end': `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\n${smuggled}`,
};

describe('a request whose end could be seen in two places', () => {
  for (const [name, bytes] of Object.entries(ambiguous)) {
    it(`closes the connection, and nothing behind it is taken for a request: ${name}`, async () => {
      const port = await openPort();
      const answer = await exchangeRaw(port, bytes);
      assert.ok(
        port.seen.every(({ head }) => head.target !== '/smuggled'),
        `the handler saw /smuggled: ${answer}`,
      );
      assert.ok(!answer.includes('/smuggled'), answer);
      assert.ok(statusesIn(answer).length <= 1, answer);
    });
  }

  it('closes the connection after a 400, whatever the handler would have said', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(
      port,
      `POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    );
    assert.deepEqual(statusesIn(answer), [400]);
    assert.match(answer, /connection: close/i);
    assert.equal(port.seen.length, 0);
  });
});

describe('what cannot be read behind a request that still waits for its answer', () => {
  for (const [name, junk] of Object.entries({
    'no request': '\0',
    'half a head': 'GET / HTTP/1.1\r\nHost: a.test\r\n',
  })) {
    it(`closes the connection without an answer, which would be taken for that request's: ${name}`, async () => {
      const port = await openPort({ limits: { headersMs: 100 }, handler: () => undefined });
      assert.equal(await exchangeRaw(port, `GET /waits HTTP/1.1\r\nHost: a.test\r\n\r\n${junk}`), '');
      assert.equal(port.seen.length, 1);
    });
  }
});

describe('what follows a request that said it was the last', () => {
  for (const [name, more] of Object.entries({
    'a request': smuggled,
    'a line break': '\r\n',
    junk: 'x'.repeat(1000),
  })) {
    it(`is dropped, and that request still answered: ${name}`, async () => {
      let answer = () => {};
      const port = await openPort({
        handler: (exchange) => {
          answer = () => exchange.send({ status: 200, fields: [], body: 'last' });
        },
      });
      const connection = await connectRaw(port);
      connection.send(`GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n${more}`);
      while (port.seen.length === 0) await new Promise(setImmediate);
      setImmediate(answer);
      assert.deepEqual(statusesIn(await connection.ended()), [200]);
      assert.equal(port.seen.length, 1);
    });
  }
});

describe('a body that is plain', () => {
  for (const [name, body] of Object.entries({
    'with a Content-Length': 'Content-Length: 3\r\n\r\nabc',
    chunked: `Transfer-Encoding: chunked\r\n\r\n${chunk('abc')}0\r\n\r\n`,
    'chunked, with a legal extension': 'Transfer-Encoding: chunked\r\n\r\n3;a=b;c="d"\r\nabc\r\n0\r\n\r\n',
    'chunked, with a trailer': 'Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n',
  })) {
    it(`is read to its end, and the next request is the next request: ${name}`, async () => {
      const bodies: Record<string, string> = {};
      const port = await openPort({
        handler: async (exchange) => {
          assert.equal(exchange.wire.kind, 'http1');
          if (exchange.wire.kind !== 'http1') return;
          const chunks = await exchange.wire.request.toArray();
          bodies[exchange.head.target] = Buffer.concat(chunks).toString();
          exchange.send({ status: 200, fields: [], body: exchange.head.target });
        },
      });
      const answer = await exchangeRaw(
        port,
        `POST /first HTTP/1.1\r\nHost: a.test\r\n${body}GET /next HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n`,
      );
      assert.deepEqual(bodies, { '/first': 'abc', '/next': '' });
      assert.deepEqual(
        port.seen.map(({ head }) => head.target),
        ['/first', '/next'],
      );
      assert.deepEqual(statusesIn(answer), [200, 200]);
    });
  }
});

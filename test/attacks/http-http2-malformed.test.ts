import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertOthersAreServed } from '../server/http2-client.ts';
import { openPort } from '../server/port.ts';
import * as h2 from '../server/raw-http2.ts';

describe('an HTTP/2 connection that breaks the protocol is closed, and the handler sees none of it', () => {
  for (const [name, bytes] of Object.entries({
    'a field block that is no HPACK': h2.frame(
      h2.HEADERS,
      h2.END_STREAM | h2.END_HEADERS,
      1,
      Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
    ),
    'an index that does not exist': h2.frame(h2.HEADERS, h2.END_STREAM | h2.END_HEADERS, 1, Buffer.from([0xfe])),
    'a request on an even stream': h2.requestFrame(2),
    'a request on stream 0': h2.requestFrame(0),
    'a body without a request': h2.frame(h2.DATA, 0, 1, Buffer.from('x')),
    'a CONTINUATION of nothing': h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1),
    'another frame inside a field block': Buffer.concat([
      h2.frame(h2.HEADERS, h2.END_STREAM, 1, h2.fieldBlock(h2.plainGet)),
      h2.frame(h2.PING, 0, 0, Buffer.alloc(8)),
    ]),
    'a PUSH_PROMISE from a client': h2.frame(
      h2.PUSH_PROMISE,
      h2.END_HEADERS,
      1,
      Buffer.concat([Buffer.from([0, 0, 0, 2]), h2.fieldBlock(h2.plainGet)]),
    ),
    'a frame beyond the size limit': h2.frame(h2.DATA, 0, 1, Buffer.alloc(20_000)),
    'a PING of the wrong size': h2.frame(h2.PING, 0, 0, Buffer.alloc(7)),
    'settings on a stream': h2.frame(h2.SETTINGS, 0, 1),
    'a window beyond 2^31': h2.frame(h2.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])),
    'HTTP/1.1 after the preface': Buffer.from('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'),
  })) {
    it(name, async () => {
      const port = await openPort();
      const connection = await h2.connectFrames(port);
      connection.send(bytes);
      await connection.ended();
      assert.equal(port.seen.length, 0);
      await assertOthersAreServed(port);
    });
  }
});

describe('an HTTP/2 request that is malformed never reaches the handler; other streams of its connection go on', () => {
  const [method, scheme, authority, path] = h2.plainGet;
  for (const [name, fields] of Object.entries({
    'no :method': [scheme, authority, path],
    'no :path': [method, scheme, authority],
    'no :scheme': [method, authority, path],
    'an empty :path': [method, scheme, authority, [':path', '']],
    'two :paths': [method, scheme, authority, path, [':path', '/b']],
    'two :authorities': [method, scheme, authority, [':authority', 'b.test'], path],
    'a pseudo-header field after the others': [method, scheme, authority, ['x', 'y'], path],
    'an unknown pseudo-header field': [...h2.plainGet, [':x', 'y']],
    'a :status': [...h2.plainGet, [':status', '200']],
    'an extended CONNECT': [[':method', 'CONNECT'], [':protocol', 'websocket'], scheme, authority, path],
    connection: [...h2.plainGet, ['connection', 'x-auth-request-user']],
    'keep-alive': [...h2.plainGet, ['keep-alive', 'timeout=5']],
    'proxy-connection': [...h2.plainGet, ['proxy-connection', 'close']],
    'transfer-encoding': [...h2.plainGet, ['transfer-encoding', 'chunked']],
    upgrade: [...h2.plainGet, ['upgrade', 'websocket']],
    'te other than trailers': [...h2.plainGet, ['te', 'gzip']],
    'a space in :path': [method, scheme, authority, [':path', '/ HTTP/1.1']],
    'a line break in :path': [method, scheme, authority, [':path', '/\r\nx: y']],
    'a NUL in :path': [method, scheme, authority, [':path', '/\0']],
    'a line break in :method': [[':method', 'GET\r\n'], scheme, authority, path],
    'a line break in :authority': [method, scheme, [':authority', 'a.test\r\nx: y'], path],
    'userinfo in :authority': [method, scheme, [':authority', 'a.test@b.test'], path],
    'a path in :authority': [method, scheme, [':authority', 'a.test/b'], path],
    'two hosts in :authority': [method, scheme, [':authority', 'a.test, b.test'], path],
    'two Content-Lengths': [...h2.plainGet, ['content-length', '0'], ['content-length', '1']],
    'a Content-Length that is no number': [...h2.plainGet, ['content-length', '0x0']],
    'a Content-Length that is not the body’s': [...h2.plainGet, ['content-length', '5']],
  } satisfies Record<string, ReadonlyArray<readonly [string, string]>>)) {
    it(name, async () => {
      const port = await openPort();
      const connection = await h2.connectFrames(port);
      connection.send(
        Buffer.concat([
          h2.requestFrame(1, fields),
          h2.requestFrame(3, [method, scheme, authority, [':path', '/next']]),
        ]),
      );
      await connection.until('GET /next');
      assert.deepEqual(
        port.seen.map(({ head }) => head.target),
        ['/next'],
      );
      const frames = h2.framesIn(connection.received());
      assert.ok(frames.some(h2.isFor(h2.RST_STREAM, 1)), 'the stream was not reset');
      assert.ok(!frames.some(h2.isFor(h2.HEADERS, 1)), 'the stream was answered');
    });
  }

  for (const [name, field] of Object.entries({
    'a line feed in a value': ['x-auth-request-user', 'a\nb'],
    'a carriage return in a value': ['x-auth-request-user', 'a\rb'],
    'a NUL in a value': ['x-auth-request-user', 'a\0b'],
    'a space around a value': ['x-auth-request-user', ' a'],
    'an upper-case name': ['X-Auth-Request-User', 'a'],
    'a space in a name': ['x-auth-request-user ', 'a'],
    'a colon in a name': ['x-auth-request-user:', 'a'],
    'a line break in a name': ['x\r\nx-auth-request-user', 'a'],
    'an empty name': ['', 'a'],
  } satisfies Record<string, readonly [string, string]>)) {
    it(`or it reaches the handler without the field that was: ${name}`, async () => {
      const port = await openPort();
      const connection = await h2.connectFrames(port);
      connection.send(
        Buffer.concat([
          h2.requestFrame(1, [...h2.plainGet, field]),
          h2.requestFrame(3, [method, scheme, authority, [':path', '/next']]),
        ]),
      );
      await connection.until('GET /next');
      for (const { head } of port.seen) assert.deepEqual(head.fields.raw, []);
    });
  }
});

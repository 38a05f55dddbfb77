import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer, type ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import { Http2Downstream } from '../../src/forward/downstream-http2.ts';
import { listen } from './front.ts';
import { createStage } from './stage.ts';

const stage = createStage();
const { front, raw, answering } = stage;
after(stage.close);

describe('an HTTP/2 caller of an HTTP/1.1 upstream', () => {
  it('is heard and answered with the same bytes', async () => {
    const { door, upstream } = await answering(
      'HTTP/1.1 200 Fine\r\nX-A: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n',
    );
    const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
    stage.onClose(async () => session.destroy());
    const stream = session.request([
      ':method',
      'POST',
      ':scheme',
      'http',
      ':authority',
      'h:9',
      ':path',
      '/x?y',
      'cookie',
      'a=1',
      'x-b',
      '1',
      'cookie',
      'b=2',
    ]);
    stream.end('body');
    const [, , fields] = await once(stream, 'response');
    const trailers = once(stream, 'trailers');
    assert.deepEqual(fields, [':status', '200', 'x-a', '1', 'set-cookie', 'a=1', 'set-cookie', 'b=2']);
    let body = '';
    for await (const part of stream) body += part;
    assert.equal(body, 'hi');
    assert.deepEqual((await trailers)[2], ['x-sum', '7']);
    assert.match(
      upstream.received[0] ?? '',
      /^POST \/x\?y HTTP\/1\.1\r\nhost: h:9\r\nconnection: keep-alive\r\ncookie: a=1; b=2\r\nx-b: 1\r\n/,
    );
    assert.match(upstream.received[0] ?? '', /transfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n$/);
  });

  it('sees a stream error, not an end, when the upstream dies in the middle', async () => {
    const upstream = await raw((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    );
    const door = await front({ upstream: { port: upstream.port } });
    const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
    stage.onClose(async () => session.destroy());
    const stream = session.request({ ':path': '/' });
    const failed = once(stream, 'error').catch((error: unknown) => [error]);
    await once(stream, 'data');
    upstream.sockets[0]?.destroy();
    await failed;
    assert.equal(stream.rstCode, 2);
  });

  it('that resets its stream ends the request at the upstream', async () => {
    const upstream = await raw((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'),
    );
    const door = await front({ upstream: { port: upstream.port } });
    const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
    stage.onClose(async () => session.destroy());
    const stream = session.request({ ':path': '/' });
    await once(stream, 'data');
    const [socket] = upstream.sockets;
    assert.ok(socket);
    const outcome = door.nextOutcome();
    stream.close(8);
    await once(socket, 'close');
    assert.deepEqual(await outcome, { kind: 'answered', status: 200, bytes: 4, complete: false });
  });
});

describe('fields that HTTP/2 cannot carry', () => {
  async function streamTo(act: (downstream: Http2Downstream, stream: ServerHttp2Stream) => void) {
    const server = createServer();
    server.on('stream', (stream) => act(new Http2Downstream(stream), stream));
    const session = connectHttp2(`http://127.0.0.1:${await listen(server)}`);
    stage.onClose(() => {
      session.destroy();
      server.close();
    });
    return session.request({ ':path': '/' });
  }

  it('are not worth an answer when they are hints', async () => {
    const stream = await streamTo((downstream) => {
      downstream.inform(103, ['bad name', '1']);
      downstream.start({ status: 204, fields: [], hasLength: false, endStream: true });
      downstream.inform(103, ['late', '1']);
    });
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 204);
  });

  it('reset an answer when they are its trailers, so that nobody takes it for complete', async () => {
    const stream = await streamTo((downstream) => {
      downstream.start({ status: 200, fields: [], hasLength: false, endStream: false });
      downstream.end(['bad name', '1']);
    });
    const failed = once(stream.resume(), 'error').catch((error: unknown) => [error]);
    await failed;
    assert.equal(stream.rstCode, 2);
  });
});

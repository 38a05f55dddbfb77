import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import { type Front, talk } from './front.ts';
import { bodyOf, createHttp2Stage, grpc } from './http2-stage.ts';

const stage = createHttp2Stage();
const { startUpstream, front, caller } = stage;
after(stage.close);

describe('a request to an HTTP/2 upstream', { timeout: 60_000 }, () => {
  it('arrives byte for byte with its trailers, and so does the answer', async () => {
    const answer = [...':status 201 x-b 1 x-a \u00e7 x-b 2 set-cookie a set-cookie b'.split(' '), 'date', 'yesterday'];
    const trailers: unknown[] = [];
    let seen: string[] = [];
    const upstream = await startUpstream((stream, raw) => {
      seen = raw;
      stream.on('trailers', (_headers, _flags, fields) => trailers.push(fields));
      stream.resume().on('end', () => stream.end('answer'));
      stream.respond(answer, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum-bin': ['AAE=', 'AAI='], 'x-user-id': 'root' }));
    });
    const door = await front({
      upstream: { port: upstream.port },
      plan: { identity: ['X-Auth-Request-User', '\u00e7\u008e\u008b'], setCookie: 's=1' },
    });
    const pseudo = ':method POST :scheme http :authority h:9 :path /x?y=%zz'.split(' ');
    const sent = [...pseudo, ...'x-b 1 cookie a=1 x-a 2 cookie b=2 x-b 3'.split(' ')];
    const stream = caller(door).request(sent, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-up-bin': 'AAE=', 'x-auth-request-user': 'root' }));
    const down = once(stream, 'trailers');
    stream.end('question');
    const [, , fields] = await once(stream, 'response');
    assert.equal(await bodyOf(stream), 'answer');
    assert.deepEqual(seen.slice(0, 18), sent);
    assert.deepEqual(seen.slice(18, 20), ['x-auth-request-user', '\u00e7\u008e\u008b']);
    assert.deepEqual(trailers, [['x-up-bin', 'AAE=']]);
    const ours = ['cache-control', 'no-cache="Set-Cookie"', 'set-cookie', 's=1'];
    assert.deepEqual(fields, [...answer, ...ours]);
    assert.deepEqual((await down)[2], ['x-sum-bin', 'AAE=', 'x-sum-bin', 'AAI=']);
    assert.deepEqual(door.outcomes, [{ kind: 'answered', status: 201, bytes: 6, complete: true }]);
  });

  it('may come over HTTP/1.1, trailers and all', async () => {
    const got: unknown[] = [];
    const upstream = await startUpstream((stream, raw) => {
      got.push(raw.slice(0, 8));
      stream.on('trailers', (_headers, _flags, fields) => got.push(fields));
      let body = '';
      stream.on('data', (part) => {
        body += part;
      });
      stream.on('end', () => stream.end(body.toUpperCase()));
      stream.respond({ ':status': 200, 'x-a': '1' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    });
    const door = await front({ upstream: { port: upstream.port } });
    const answer = await talk(
      door.http1Port,
      'POST /p HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n',
    );
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\nx-a: 1\r\n/);
    assert.match(answer, /\r\n2\r\nHI\r\n0\r\ngrpc-status: 0\r\n\r\n$/);
    assert.deepEqual(got, [
      [':method', 'POST', ':scheme', 'http', ':authority', 'h', ':path', '/p'],
      ['x-sum', '7'],
    ]);
  });

  it('of gRPC goes over cleartext HTTP/2 to an http upstream, of gRPC-Web does not', async () => {
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true });
    });
    const door = await front({ upstream: { port: upstream.port, protocol: 'http' } });
    const session = caller(door);
    const [answer] = await once(session.request(grpc).end(), 'response');
    assert.equal(answer[':status'], 200);
    const [web] = await once(
      session.request({ ...grpc, 'content-type': 'application/grpc-web+proto' }).end(),
      'response',
    );
    assert.equal(web[':status'], 502);
  });

  it('that the caller cancels is cancelled at the upstream with the same meaning', async () => {
    const cancelled = Promise.withResolvers<number>();
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('x');
      stream.on('close', () => cancelled.resolve(stream.rstCode));
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request(grpc);
    await once(stream, 'data');
    stream.close(8);
    assert.equal(await cancelled.promise, 8);
  });

  it('that the caller half-closes can still be answered for as long as it takes', async () => {
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200 });
      stream.write('1');
      stream.resume().on('end', () => stream.end('2'));
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request(grpc);
    const [first] = await once(stream, 'data');
    stream.end();
    assert.equal(String(first) + (await bodyOf(stream)), '12');
  });
});

describe('an answer of an HTTP/2 upstream', { timeout: 60_000 }, () => {
  it('that is trailers only stays so', async () => {
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '16' }, { endStream: true });
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request(grpc);
    stream.end();
    const [headers, flags] = await once(stream, 'response');
    assert.equal(headers['grpc-status'], '16');
    assert.equal(flags & 1, 1, 'END_STREAM came with the head');
    stream.close();
  });

  it('to HEAD, 204 and 304 ends with its head for both kinds of callers', async () => {
    const statuses = [200, 204, 304];
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': statuses.shift() ?? 200, 'x-a': '1' }, { endStream: true });
    });
    const door = await front({ upstream: { port: upstream.port } });
    const head = caller(door).request({ ':method': 'HEAD', ':path': '/' });
    assert.equal((await once(head, 'response'))[0][':status'], 200);
    assert.equal(await bodyOf(head), '');
    const none = caller(door).request({ ':path': '/' });
    assert.equal((await once(none, 'response'))[0][':status'], 204);
    assert.equal(await bodyOf(none), '');
    assert.match(
      await talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 304 Not Modified\r\nx-a: 1\r\n(?:.+\r\n)*\r\n$/,
    );
  });

  it('may be announced by early hints', async () => {
    const upstream = await startUpstream((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' });
      stream.respond({ ':status': 200 });
      stream.end('x');
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request({ ':path': '/' });
    const [hints] = await once(stream, 'headers');
    assert.equal(hints[':status'], 103);
    assert.equal(hints.link, '</a.css>; rel=preload');
    assert.equal(await bodyOf(stream), 'x');
  });

  it('that comes before the upload ended reaches a caller that still sends', async () => {
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 413 });
      stream.end('no');
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(100_000));
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 413);
    const [part] = await once(stream, 'data');
    assert.equal(String(part), 'no');
    await once(stream, 'end');
    stream.end();
  });

  for (const [what, end] of [
    ['is reset', (stream: ServerHttp2Stream) => stream.close(2)],
    ['is reset as if without error', (stream: ServerHttp2Stream) => stream.destroy()],
    ['loses its connection', (stream: ServerHttp2Stream) => stream.session?.destroy()],
  ] as const) {
    it(`that ${what} in the middle ends a gRPC call with status 14`, async () => {
      const door = await breaking(end, 'application/grpc');
      const stream = caller(door).request(grpc);
      const trailers = once(stream, 'trailers');
      stream.end();
      assert.equal(await bodyOf(stream), 'half');
      assert.equal((await trailers)[0]['grpc-status'], '14');
    });

    it(`that ${what} in the middle resets any other stream`, async () => {
      const door = await breaking(end);
      const stream = caller(door).request({ ':path': '/' });
      await once(stream, 'response');
      await assert.rejects(bodyOf(stream));
      assert.equal(stream.rstCode, 2);
    });

    it(`that ${what} in the middle resets the connection of an HTTP/1.1 caller`, async () => {
      const door = await breaking(end);
      const outcome = door.nextOutcome();
      const answer = await talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      assert.doesNotMatch(answer, /\r\n0\r\n/);
      assert.deepEqual(await outcome, { kind: 'answered', status: 200, bytes: 4, complete: false });
    });
  }

  it('is held back at the upstream while the caller does not read', async () => {
    let sent = 0;
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200 });
      const more = () => {
        if (stream.destroyed) return;
        sent += 65_536;
        if (stream.write(Buffer.alloc(65_536))) setImmediate(more);
        else stream.once('drain', more);
      };
      more();
    });
    const door = await front({ upstream: { port: upstream.port } });
    const stream = caller(door).request({ ':path': '/' });
    await once(stream, 'response');
    let before = -1;
    while (before !== sent) {
      before = sent;
      for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    }
    assert.ok(sent < 8 * 1024 * 1024, `${sent} bytes were taken in without a reader`);
    // One reader that stands still holds nobody else up, though they share a connection.
    const other = caller(door).request({ ':path': '/' });
    assert.equal((await once(other, 'response'))[0][':status'], 200);
    let got = 0;
    for await (const part of other) {
      got += part.length;
      if (got > 2_000_000) break;
    }
    stream.close(8);
  });
});

async function breaking(end: (stream: ServerHttp2Stream) => void, type = 'text/plain'): Promise<Front> {
  const upstream = await startUpstream((stream) => {
    // Trailers to come keep Node from ending the stream regularly on its own.
    stream.respond({ ':status': 200, 'content-type': type }, { waitForTrailers: true });
    stream.write('half', () => setImmediate(() => setImmediate(end, stream)));
  });
  return front({ upstream: { port: upstream.port } });
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { listen, talk } from './front.ts';
import { createStage, until } from './stage.ts';

const stage = createStage();
const { front, raw, answering } = stage;
after(stage.close);

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

describe('an HTTP/1.1 request', () => {
  it('reaches the upstream byte for byte but for the fields of the hop', async () => {
    const { door, upstream } = await answering('HTTP/1.1 204 No Content\r\n\r\n', {
      plan: { identity: ['X-Auth-Request-User', Buffer.from('王').toString('latin1')] },
    });
    await talk(
      door.http1Port,
      'PATCH /a%20b//c?x=%zz&y HTTP/1.1\r\nhOsT: h:1\r\nX-b: 1\r\nx-A:  2 \r\nX-b: 3\r\nConnection: close\r\n\r\n',
    );
    const expected = [
      'PATCH /a%20b//c?x=%zz&y HTTP/1.1',
      'host: h:1',
      'connection: keep-alive',
      'X-b: 1',
      'x-A: 2',
      'X-b: 3',
      'X-Auth-Request-User: \u00e7\u008e\u008b',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: h:1',
      'X-Request-ID: ref-1',
      'content-length: 0',
      '\r\n',
    ];
    assert.equal(upstream.received[0], expected.join('\r\n'));
  });

  it('keeps its Content-Length, and a chunked body stays chunked', async () => {
    const server = createServer((incoming, response) => {
      incoming
        .resume()
        .on('end', () =>
          response.end(`${incoming.headers['content-length']} ${incoming.headers['transfer-encoding']}`),
        );
    });
    const port = await listen(server);
    stage.onClose(async () => void server.close());
    const door = await front({ upstream: { port } });
    const head = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n';
    assert.match(await talk(door.http1Port, `${head}Content-Length: 5\r\n\r\nhello`), /\r\n\r\n5 undefined$/);
    assert.match(
      await talk(door.http1Port, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`),
      /undefined chunked$/,
    );
  });

  it('with GET may have a body, and has none that nobody sent', async () => {
    const { door, upstream } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    await talk(door.http1Port, GET);
    assert.doesNotMatch(upstream.received[0] ?? '', /content-length|transfer-encoding/i);
    await talk(door.http1Port, GET.replace('\r\n\r\n', '\r\nContent-Length: 3\r\n\r\nabc'));
    assert.match(upstream.received.join(''), /content-length: 3\r\n\r\nabc$/);
  });

  it('is streamed: what was uploaded so far is there before the rest', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port } });
    const client = connect(door.http1Port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    await until(() => upstream.received[0]?.includes('\r\n3\r\none') === true, client);
    client.destroy();
  });

  it('of a caller that goes away is aborted at the upstream', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port } });
    const client = connect(door.http1Port, '127.0.0.1');
    client.write(GET);
    await until(() => upstream.received[0]?.endsWith('\r\n\r\n') === true, client);
    const [socket] = upstream.sockets;
    assert.ok(socket);
    const outcome = door.nextOutcome();
    client.destroy();
    await Promise.all([once(socket, 'close'), outcome]);
    assert.deepEqual(await outcome, { kind: 'abandoned' });
  });

  it('of a caller that goes away in the middle of its upload never looks complete', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port } });
    const client = connect(door.http1Port, '127.0.0.1');
    client.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n');
    await until(() => upstream.received[0]?.includes('\r\n3\r\none') === true, client);
    const [socket] = upstream.sockets;
    assert.ok(socket);
    client.destroy();
    await once(socket, 'close');
    assert.doesNotMatch(upstream.received[0] ?? '', /\r\n0\r\n/);
  });

  it('never carries CONNECT or TRACE on', async () => {
    const { door, upstream } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    const wire = door.lastWire;
    assert.equal(wire(), undefined);
    assert.deepEqual(await door.outcomeOf('TRACE'), 'method_refused');
    assert.equal(upstream.sockets.length, 0);
  });
});

describe('an answer over HTTP/1.1', () => {
  for (const length of [1, 255, 8192, 8193, 70_000]) {
    it(`keeps every byte of a body of ${length}, with a length or chunked`, async () => {
      const body = Buffer.from(Uint8Array.from({ length }, (_, i) => 255 - (i % 256)));
      const sized = `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n${body.toString('latin1')}`;
      const first = await answering(sized);
      const [, plain] = (await talk(first.door.http1Port, GET)).split(/\r\n\r\n(.*)/s);
      assert.equal(plain, body.toString('latin1'));
      const chunk = `${length.toString(16)}\r\n${body.toString('latin1')}\r\n0\r\n\r\n`;
      const second = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`);
      const answer = await talk(second.door.http1Port, GET.replace('1.1', '1.0'));
      assert.equal(answer.split(/\r\n\r\n(.*)/s)[1], body.toString('latin1'));
    });
  }

  it('reaches the caller byte for byte, repeated fields, spelling and reason included', async () => {
    const { door } = await answering(
      'HTTP/1.1 207 M\u00fcltiple\r\nX-b: 1\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nX-B: \u00e7\u008e\u008b\r\nContent-Length: 2\r\n\r\nhi',
    );
    const answer = await talk(door.http1Port, GET);
    // The reason is read as UTF-8: what is not UTF-8 is not a phrase anybody could read.
    assert.match(answer, /^HTTP\/1\.1 207 /);
    const rest =
      'X-b: 1\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nX-B: \u00e7\u008e\u008b\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi';
    assert.ok(answer.endsWith(`\r\n${rest}`), answer);
  });

  it('carries our cookie after those of the upstream', async () => {
    const { door } = await answering('HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n', {
      plan: { setCookie: 's=1; HttpOnly' },
    });
    assert.match(await talk(door.http1Port, GET), /Set-Cookie: a=1\r\n(?:.+\r\n)*Set-Cookie: s=1; HttpOnly\r\n/);
  });

  it('without a length is chunked for HTTP/1.1 and ended by close for HTTP/1.0', async () => {
    const { door } = await answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n');
    assert.match(await talk(door.http1Port, GET), /Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/);
    const old = await talk(door.http1Port, 'GET / HTTP/1.0\r\nHost: h\r\n\r\n');
    assert.match(old, /\r\n\r\nhi$/);
    assert.doesNotMatch(old, /chunked/i);
  });

  it('brings its trailers along, without those that claim to be something else', async () => {
    const bytes =
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\nX-User-Id: root\r\n\r\n';
    const { door } = await answering(bytes);
    const answer = await talk(door.http1Port, GET);
    assert.match(answer, /^Trailer: X-Sum\r$/m);
    assert.match(answer, /\r\n0\r\nx-sum: 1\r\nx-sum: 2\r\n\r\n$/);
  });

  it('with a Trailer field but a length, or none at all, does no harm', async () => {
    for (const framing of ['Content-Length: 2\r\n\r\nhi', 'Content-Length: 0\r\n\r\n']) {
      const { door } = await answering(`HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\n${framing}`);
      assert.match(await talk(door.http1Port, GET), /^HTTP\/1\.1 200 OK/);
    }
  });

  for (const [what, method, bytes] of [
    ['to HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\nTrailer: X\r\nContent-Length: 1000\r\n\r\n'],
    ['to HEAD of what would be chunked', 'HEAD', 'HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n'],
    ['204 that has a Trailer field', 'GET', 'HTTP/1.1 204 No Content\r\nTrailer: X\r\n\r\n'],
    ['304 that has a Trailer field', 'GET', 'HTTP/1.1 304 Not Modified\r\nTrailer: X\r\n\r\n'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: "1"\r\n\r\n'],
  ] as const) {
    it(`${what} ends with its head`, async () => {
      const { door } = await answering(bytes);
      const answer = await talk(door.http1Port, GET.replace('GET', method));
      assert.ok(answer.endsWith('\r\n\r\n'), answer);
      assert.equal(door.outcomes[0]?.kind, 'answered');
      assert.equal(/Content-Length: 1000/.test(answer), /Content-Length: 1000/.test(bytes));
    });
  }

  it('has its head passed on before the first byte of the body', async () => {
    const { door, upstream } = await answering('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n');
    const client = connect(door.http1Port, '127.0.0.1');
    client.write(GET);
    const [first] = await once(client, 'data');
    assert.match(String(first), /text\/event-stream/);
    upstream.sockets[0]?.write('data: 1\n\n');
    const [event] = await once(client, 'data');
    assert.match(String(event), /data: 1\n\n/);
    client.destroy();
  });

  it('whose body is late has the bytes of its head unchanged all the same', async () => {
    const { door } = await answering(
      'HTTP/1.1 200 caf\xc3\xa9\r\nX-Place: \xe7\x8e\x8b\xe9\r\nContent-Length: 4\r\n\r\n',
    );
    const caller = connect(door.http1Port, '127.0.0.1');
    stage.onClose(() => void caller.destroy());
    caller.write(GET);
    let heard = '';
    caller.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    await until(() => heard.includes('\r\n\r\n'), caller);
    assert.match(heard, /^HTTP\/1\.1 200 caf\xc3\xa9\r\nX-Place: \xe7\x8e\x8b\xe9\r\n/);
  });

  it('may be announced by early hints', async () => {
    const { door } = await answering(
      'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    );
    assert.match(
      await talk(door.http1Port, GET),
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/,
    );
  });

  it('that comes before the upload ended is passed on, and the connection stays good', async () => {
    const { door } = await answering('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    const client = connect(door.http1Port, '127.0.0.1');
    client.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n01234');
    const [first] = await once(client, 'data');
    assert.match(String(first), /^HTTP\/1\.1 413 .*no$/s);
    client.write(`56789${GET}`);
    const [second] = await once(client, 'data');
    assert.match(String(second), /^HTTP\/1\.1 413 /);
    client.destroy();
  });

  it('stops the upstream when the caller does not read, and resumes with it', async () => {
    const total = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(65_536);
    let sent = 0;
    const server = createServer((_incoming, response) => {
      const more = () => {
        while (sent < total) {
          sent += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const port = await listen(server);
    stage.onClose(async () => {
      server.closeAllConnections();
      server.close();
    });
    const door = await front({ upstream: { port } });
    const client = request({ port: door.http1Port, host: '127.0.0.1', path: '/' }).end();
    const [answer] = await once(client, 'response');
    let before = -1;
    // Nobody reads: the sender comes to rest once every buffer on the way is full.
    while (before !== sent) {
      before = sent;
      for (let turn = 0; turn < 200; turn += 1) await new Promise(setImmediate);
    }
    assert.ok(sent < total / 2, `${sent} bytes were taken in without a reader`);
    let got = 0;
    for await (const part of answer) got += part.length;
    assert.equal(got, total);
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { ask, closeCode, openSession } from './http2-client.ts';
import { openPort } from './port.ts';
import { connectRaw, exchangeRaw, statusesIn } from './raw-connection.ts';
import { testCertificate } from './test-certificate.ts';

describe('an upgraded connection that its caller has ended', () => {
  for (const tls of [undefined, testCertificate])
    it(`still takes what the other side says, ${tls ? 'with' : 'without'} TLS`, async () => {
      const port = await openPort({
        ...(tls && { tls }),
        handler: ({ wire }) => {
          if (wire.kind !== 'upgrade') return;
          const { socket } = wire;
          socket.resume().once('end', () => setImmediate(() => socket.end('my last word')));
        },
      });
      const at = { host: port.host, port: port.port, allowHalfOpen: true };
      const caller = tls ? connectTls({ ...at, ca: tls.cert, checkServerIdentity: () => undefined }) : connect(at);
      const said = text(caller);
      caller.end('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      assert.equal(await said, 'my last word');
    });
});

describe('the shared port without TLS', () => {
  it('speaks HTTP/1.1, with the whole head as it came', async () => {
    const port = await openPort();
    const answer = await exchangeRaw(
      port,
      'GET /a?b=%2f HTTP/1.1\r\nHoSt: A.test\r\nX-A: 1\r\nx-a: \xc3\xa4\r\nConnection: close\r\n\r\n',
    );
    assert.deepEqual(statusesIn(answer), [200]);
    const { head } = port.seen[0] ?? assert.fail('nothing came');
    assert.equal(head.method, 'GET');
    assert.equal(head.target, '/a?b=%2f');
    assert.equal(head.authority, 'A.test');
    assert.equal(head.version, '1.1');
    assert.equal(head.encrypted, false);
    assert.equal(head.peer, '127.0.0.1');
    assert.deepEqual(head.fields.raw, ['HoSt', 'A.test', 'X-A', '1', 'x-a', '\xc3\xa4', 'Connection', 'close']);
    assert.deepEqual(head.fields.all('x-a'), ['1', '\xc3\xa4']);
  });

  it('speaks HTTP/2 by prior knowledge, with the whole head but the pseudo-header fields', async () => {
    const port = await openPort();
    const { status, body } = await ask(openSession(port.port), { ':path': '/a?b', 'x-a': '1' });
    assert.deepEqual({ status, body }, { status: 200, body: 'GET /a?b' });
    const { head } = port.seen[0] ?? assert.fail('nothing came');
    assert.equal(head.version, '2');
    assert.equal(head.authority, `127.0.0.1:${port.port}`);
    assert.equal(head.peer, '127.0.0.1');
    assert.deepEqual(head.fields.raw, ['x-a', '1']);
  });

  it('tells them apart however the first bytes are cut', async () => {
    const port = await openPort();
    const http1 = await connectRaw(port);
    for (const byte of 'PUT / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n') {
      http1.send(byte);
      await new Promise(setImmediate);
    }
    assert.match(await http1.ended(), /PUT \//);
    const http2 = await connectRaw(port);
    for (const byte of 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n') {
      http2.send(byte);
      await new Promise(setImmediate);
    }
    // Our SETTINGS frame opens every HTTP/2 connection: type 4, stream 0.
    await http2.until('\x04\x00\x00\x00\x00\x00');
  });

  it('hands over WebSocket handshakes with what was sent behind them', async () => {
    const port = await openPort({
      handler: ({ wire }) => {
        if (wire.kind === 'upgrade') wire.socket.end(`101 ${wire.head.toString()}`);
      },
    });
    const handshake = 'GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe';
    assert.equal(await exchangeRaw(port, handshake), '101 frame');
  });

  it('answers many requests on one connection in order, however long each takes', async () => {
    const waiting: Array<() => void> = [];
    const port = await openPort({
      handler: (exchange) => {
        waiting.unshift(() => exchange.send({ status: 200, fields: [], body: exchange.head.target }));
        if (waiting.length === 3) for (const answer of waiting) answer();
      },
    });
    const connection = await connectRaw(port);
    connection.send(['/1', '/2', '/3'].map((target) => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`).join(''));
    const answer = await connection.until('/3');
    assert.deepEqual(answer.match(/\/\d(?=HTTP|$)/g), ['/1', '/2', '/3']);
  });

  it('gives every request a reference of its own, which owes nothing to the request', async () => {
    const port = await openPort();
    const session = openSession(port.port);
    await ask(session, { 'x-request-id': 'mine' });
    await ask(session, { 'x-request-id': 'mine' });
    const [first, second] = port.seen.map(({ id }) => id);
    assert.match(first ?? '', /^[\w-]{8,}-\w+$/);
    assert.notEqual(first, second);
    assert.equal(port.seen[0]?.id, first);
  });

  it('answers 500 without details, and goes on, when the handler throws or rejects', async () => {
    let count = 0;
    const port = await openPort({
      handler: () => {
        count += 1;
        if (count % 2 === 0) return Promise.reject(new Error('secret'));
        throw new Error('secret');
      },
    });
    const session = openSession(port.port);
    for (let i = 0; i < 2; i++) {
      const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
      assert.deepEqual(statusesIn(answer), [500]);
      const { status, body } = await ask(session);
      assert.equal(status, 500);
      assert.ok(!body.includes('secret') && !answer.includes('secret'));
      const { id } = port.events.findLast(({ event }) => event === 'request.crashed')?.facts ?? {};
      assert.equal(JSON.parse(body).reference, id);
    }
  });

  it('cuts an answer short that had begun when the handler failed, so that nobody takes it for the whole', async () => {
    const port = await openPort({
      handler: async ({ wire }) => {
        if (wire.kind === 'http1') {
          wire.response.writeHead(200);
          wire.response.write('half');
        } else if (wire.kind === 'http2') {
          wire.stream.respond({ ':status': 200 });
          wire.stream.write('half');
        }
        throw new Error('broken');
      },
    });
    const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    assert.ok(!answer.includes('0\r\n\r\n'), answer);
    assert.equal(await closeCode(openSession(port.port).request({ ':path': '/' })), 2);
  });

  it('survives callers that reset their connection at any moment', async () => {
    const port = await openPort({ handler: () => new Promise(() => {}) });
    const opened = [
      '',
      'P',
      'GET',
      'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    ];
    for (const bytes of opened) {
      const connection = await connectRaw(port);
      connection.send(bytes);
      await new Promise(setImmediate);
      connection.socket.resetAndDestroy();
      await connection.ended();
    }
    const session = openSession(port.port);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.close(8);
    await closeCode(stream);
    assert.equal(session.destroyed, false);
  });

  it('reports a port that is taken', async () => {
    const port = await openPort();
    await assert.rejects(port.listener.start());
  });
});

describe('the shared port with TLS', () => {
  it('speaks HTTP/2 and HTTP/1.1 by ALPN', async () => {
    const port = await openPort({ tls: testCertificate });
    assert.equal((await ask(openSession(port.port, 'https'))).body, 'GET /');
    const client = requestTls({
      host: '127.0.0.1',
      port: port.port,
      path: '/tls',
      rejectUnauthorized: false,
      agent: false,
    }).end();
    const [response] = await once(client, 'response');
    assert.equal(await text(response), 'GET /tls');
    assert.deepEqual(
      port.seen.map(({ head }) => [head.version, head.encrypted, head.peer]),
      [
        ['2', true, '127.0.0.1'],
        ['1.1', true, '127.0.0.1'],
      ],
    );
  });

  it('keeps its time limits', async () => {
    const port = await openPort({ tls: testCertificate, limits: { headersMs: 100 } });
    const client = requestTls({ host: '127.0.0.1', port: port.port, rejectUnauthorized: false, agent: false });
    client.on('error', () => undefined); // the 408 arrives before the request is whole
    client.on('socket', (socket) => socket.once('secureConnect', () => socket.write('GET / HT')));
    const [response] = await once(client, 'response');
    assert.equal(response.statusCode, 408);
  });

  it('closes a connection that speaks no TLS', async () => {
    const port = await openPort({ tls: testCertificate });
    const answer = await exchangeRaw(port, 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    assert.equal(statusesIn(answer).length, 0);
    assert.equal(port.seen.length, 0);
  });

  it('closes a connection that never finishes its handshake', async () => {
    const port = await openPort({ tls: testCertificate, limits: { headersMs: 80 } });
    await exchangeRaw(port, '\x16\x03');
  });
});

describe('draining', () => {
  it('refuses new connections, ends idle ones, and lets what has begun come to its end', async () => {
    const answers: Array<() => void> = [];
    const port = await openPort({
      handler: (exchange) => {
        if (exchange.head.target === '/idle') exchange.send({ status: 200, fields: [] });
        else answers.push(() => exchange.send({ status: 200, fields: [], body: 'done' }));
      },
    });
    const idle = await connectRaw(port);
    idle.send('GET /idle HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await idle.until('\r\n\r\n');
    const busy = await connectRaw(port);
    busy.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const session = openSession(port.port);
    const stream = session.request({ ':path': '/' });
    while (answers.length < 2) await new Promise(setImmediate);

    const goaway = once(session, 'goaway');
    port.listener.drain();
    await idle.ended();
    await goaway;
    const late = request({ host: '127.0.0.1', port: port.port, agent: new Agent() });
    const [refused] = await once(late, 'error');
    assert.equal(refused.code, 'ECONNREFUSED');

    const stopped = port.listener.stop(10_000);
    for (const answer of answers) answer();
    assert.equal(await text(stream), 'done');
    assert.match(await busy.ended(), /connection: close\r\n[\s\S]*done$/i);
    await stopped;
  });

  it('closes the connection of an answer that had begun, as soon as that is over', async () => {
    let finish = () => {};
    const port = await openPort({
      handler: ({ wire }) => {
        if (wire.kind !== 'http1') return;
        wire.response.writeHead(200, ['Content-Length', '8']);
        wire.response.write('half');
        finish = () => void wire.response.end('done');
      },
    });
    const connection = await connectRaw(port);
    connection.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await connection.until('half');
    port.listener.drain();
    finish();
    assert.match(await connection.ended(), /halfdone$/);
  });

  it('closes what is left when the time is over', async () => {
    const port = await openPort({ handler: () => undefined });
    const busy = await connectRaw(port);
    busy.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const session = openSession(port.port);
    const isReset = closeCode(session.request({ ':path': '/' }));
    while (port.seen.length < 2) await new Promise(setImmediate);
    await port.listener.stop(50);
    assert.equal(await busy.ended(), '');
    assert.equal(await isReset, 8);
  });

  it('is over at once when nobody is connected', async () => {
    const port = await openPort();
    await port.listener.stop(60_000);
  });
});

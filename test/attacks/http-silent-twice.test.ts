import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2, createServer as createHttp2, type ServerHttp2Session } from 'node:http2';
import { after, describe, it } from 'node:test';
import type { Exchange } from '../../src/server/exchange.ts';
import { listen } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';
import { openPort } from '../server/port.ts';
import { connectRaw } from '../server/raw-connection.ts';

const stage = createStage();
after(stage.close);

/** Longer than a silence that is looked at. */
const pass = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A handler whose exchange the test deals with. */
function withheld() {
  const arrived = Promise.withResolvers<Exchange>();
  const done = Promise.withResolvers<void>();
  const handler = (exchange: Exchange) => {
    arrived.resolve(exchange);
    return done.promise;
  };
  return { handler, arrived: arrived.promise, done: done.resolve };
}

function caller(port: number) {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
  stage.onClose(() => session.destroy());
  return session;
}

// Each of them was silent once with good reason: that is no licence to be so for ever.
describe('who was rightly silent once', { timeout: 10_000 }, () => {
  it('is cut off over HTTP/1.1 when the body that was held back is taken and no more of it comes', async () => {
    const held = withheld();
    const port = await openPort({ limits: { bodyIdleMs: 60 }, handler: held.handler });
    const connection = await connectRaw(port);
    connection.send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(66_000)}`);
    const { wire } = await held.arrived;
    await pass(150);
    assert.ok(!connection.socket.destroyed);
    if (wire.kind === 'http1') wire.request.resume();
    assert.equal(await connection.ended(), '');
    held.done();
  });

  it('goes on over HTTP/2 as long as it waits for us alone', async () => {
    const held = withheld();
    const port = await openPort({ limits: { bodyIdleMs: 60 }, handler: held.handler });
    const stream = caller(port.port).request({ ':path': '/' });
    const { wire } = await held.arrived;
    assert.ok(wire.kind === 'http2');
    await pass(200);
    wire.stream.respond({ ':status': 204 }, { endStream: true });
    const [answer] = await once(stream, 'response');
    assert.equal(answer[':status'], 204);
    held.done();
  });

  it('is cut off over HTTP/2 when it does not read the answer', async () => {
    const held = withheld();
    const port = await openPort({ limits: { bodyIdleMs: 60 }, handler: held.handler });
    const stream = caller(port.port).request({ ':path': '/' });
    stream.on('error', () => undefined);
    stream.pause();
    const { wire } = await held.arrived;
    assert.ok(wire.kind === 'http2');
    const closed = once(wire.stream, 'close');
    await pass(150);
    assert.ok(!wire.stream.destroyed);
    wire.stream.respond({ ':status': 200 });
    wire.stream.write(Buffer.alloc(1_000_000));
    await closed;
    held.done();
  });

  it('is let go over HTTP/2 when its connection lies idle', async () => {
    const held = withheld();
    const port = await openPort({ limits: { idleMs: 60 }, handler: held.handler });
    const session = caller(port.port);
    const stream = session.request({ ':path': '/' });
    const { wire } = await held.arrived;
    await pass(150);
    assert.ok(!session.destroyed);
    assert.ok(wire.kind === 'http2');
    wire.stream.respond({ ':status': 200 }, { endStream: true });
    stream.resume();
    held.done();
    await once(session, 'close');
  });

  it('is let go as an upstream when its connection lies idle', async () => {
    const server = createHttp2();
    const opened = Promise.withResolvers<ServerHttp2Session>();
    const asked = Promise.withResolvers<() => void>();
    server.on('session', opened.resolve);
    server.on('stream', (stream) => asked.resolve(() => stream.respond({ ':status': 204 }, { endStream: true })));
    const port = await listen(server);
    stage.onClose(() => void server.close());
    const door = await stage.front({ upstream: { protocol: 'h2c', port, idleTimeoutMs: 60 } });
    const stream = caller(door.http2Port).request({ ':path': '/' });
    const answer = await asked.promise;
    const session = await opened.promise;
    await pass(150);
    assert.ok(!session.destroyed);
    answer();
    stream.resume();
    await once(session, 'close');
  });
});

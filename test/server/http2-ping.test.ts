import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import type { Exchange, Handler } from '../../src/server/exchange.ts';
import { openSession } from './http2-client.ts';
import { type OpenPort, openPort } from './port.ts';
import { ACK, connectFrames, frame, framesIn, PING, requestFrame } from './raw-http2.ts';
import { testCertificate } from './test-certificate.ts';

const limits = { pingIntervalMs: 50, pingTimeoutMs: 1000, idleMs: 200, bodyIdleMs: 100 };

/** An answer that begins and then says nothing until it is over. */
const watchStream: Handler = (exchange) => {
  if (exchange.wire.kind !== 'http2') return undefined;
  const { stream } = exchange.wire;
  stream.respond([':status', '200', 'content-type', 'application/grpc']);
  stream.write('begun');
  return new Promise((resolve) => {
    stream.once('close', () => resolve());
  });
};

function streamOf(port: OpenPort): Extract<Exchange['wire'], { kind: 'http2' }>['stream'] {
  const wire = port.seen[0]?.wire;
  assert.ok(wire?.kind === 'http2');
  return wire.stream;
}

describe('an HTTP/2 caller with an open stream', { timeout: 20_000 }, () => {
  it('that answers nothing is given up, and its stream ends', async () => {
    const port = await openPort({ limits, handler: watchStream });
    const caller = await connectFrames(port);
    // Before anything could be asked: when the stream is seen here, on a busy machine, that may be long ago.
    const startedAt = performance.now();
    caller.send(requestFrame(1));
    while (port.seen.length === 0) await once(caller.socket, 'data');
    const stream = streamOf(port);
    const aborted = once(stream, 'aborted');
    await caller.ended();
    await aborted;
    assert.ok(performance.now() - startedAt >= 1000, 'given up before the time was over');
    assert.ok(framesIn(caller.received()).some(({ type, flags }) => type === PING && (flags & ACK) === 0));
    assert.ok(port.events.some(({ event }) => event === 'connection.lost'));
  });

  it('that sends something else than the answer is still there', async () => {
    const port = await openPort({ limits, handler: watchStream });
    const caller = await connectFrames(port);
    caller.send(requestFrame(1));
    // Pings of its own; ours stay unanswered.
    const chatter = setInterval(() => caller.send(frame(PING, 0, 0, Buffer.alloc(8))), 50);
    after(() => clearInterval(chatter));
    const answersToOurs = () => framesIn(caller.received()).filter(({ type, flags }) => type === PING && flags === ACK);
    while (answersToOurs().length < 40) await once(caller.socket, 'data');
    assert.equal(streamOf(port).destroyed, false);
  });

  for (const scheme of ['http', 'https'] as const)
    it(`that answers keeps its idle stream for longer than every limit on silence, over ${scheme}`, async () => {
      const port = await openPort({
        limits,
        handler: watchStream,
        ...(scheme === 'https' && { tls: testCertificate }),
      });
      const session = openSession(port.port, scheme);
      const stream = session.request({ ':path': '/' });
      await once(stream, 'data');
      // Three times the idle limit and six times that of a body.
      for (let pings = 0; pings < 12; pings++) await once(session, 'ping');
      assert.equal(stream.destroyed, false);
      streamOf(port).write('still here');
      assert.equal(String((await once(stream, 'data'))[0]), 'still here');
      stream.close();
    });

  it('that has none is not asked, so that its idle limit ends it', async () => {
    const port = await openPort({ limits });
    const session = connectHttp2(`http://127.0.0.1:${port.port}`);
    let pings = 0;
    session.on('ping', () => {
      pings += 1;
    });
    await once(session, 'close');
    assert.equal(pings, 0);
  });
});

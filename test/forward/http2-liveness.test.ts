import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { after, describe, it } from 'node:test';
import {
  ACK,
  END_HEADERS,
  fieldBlock,
  frame,
  framesIn,
  HEADERS,
  PING,
  type ReceivedFrame,
  SETTINGS,
} from '../server/raw-http2.ts';
import { type Front, listen } from './front.ts';
import { bodyOf, grpc } from './http2-stage.ts';
import { createRaw, createWatchedLog } from './places.ts';
import { createStage } from './stage.ts';

const stage = createStage();
after(stage.close);

const PREFACE = 24;
const head = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
] as const;
const times = { protocol: 'h2c', pingIntervalMs: 40, pingTimeoutMs: 40, headersTimeoutMs: 60_000 } as const;

/**
 * An upstream of bare frames. It begins to answer each stream, unless told otherwise, and then says nothing.
 *
 * @param onPing what it says to a PING
 */
async function startFrames(says: { head: boolean; onPing?: (payload: Buffer) => Buffer }) {
  const pings: number[] = [];
  let connections = 0;
  const server = createRaw((socket) => {
    connections += 1;
    let received = '';
    let seen = 0;
    socket.write(frame(SETTINGS, 0, 0));
    const take = ({ type, flags, stream, payload }: ReceivedFrame) => {
      if (type === SETTINGS && (flags & ACK) === 0) socket.write(frame(SETTINGS, ACK, 0));
      if (type === HEADERS && says.head) socket.write(frame(HEADERS, END_HEADERS, stream, fieldBlock(head)));
      if (type !== PING) return;
      pings.push(performance.now());
      if (says.onPing) socket.write(says.onPing(payload));
    };
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      const frames = framesIn(received.slice(PREFACE));
      for (const one of frames.slice(seen)) take(one);
      seen = frames.length;
    });
  });
  stage.onClose(() => {
    server.close();
    for (const socket of server.sockets) socket.destroy();
  });
  return { port: await listen(server), pings, server, connections: () => connections };
}

function call(door: Front): ClientHttp2Stream {
  const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
  stage.onClose(() => session.destroy());
  const stream = session.request(grpc);
  stream.end('x');
  return stream;
}

describe('an HTTP/2 upstream that falls silent', () => {
  it('ends the streams that began, each in its own words, and is left alone', async () => {
    const { port, server } = await startFrames({ head: true });
    const watched = createWatchedLog();
    const door = await stage.front({ upstream: { ...times, port }, log: watched.log });
    const stream = call(door);
    await once(stream, 'response');
    const [trailers] = await once(stream.resume(), 'trailers');
    assert.equal(trailers['grpc-status'], '14');
    assert.deepEqual(watched.events, ['upstream.address_ejected']);
    while (server.sockets.size > 0) await new Promise(setImmediate);
  });

  it('fails the streams that did not as a timeout, without another try that would wait as long', async () => {
    const { port, connections } = await startFrames({ head: false });
    const door = await stage.front({ upstream: { ...times, port } });
    assert.equal(await bodyOf(call(door)), 'upstream_timeout');
    assert.equal(connections(), 1);
  });

  it('keeps its streams as long as it answers, and is asked once in one silence: gRPC servers hang up on more', async () => {
    const { port, pings } = await startFrames({ head: true, onPing: (payload) => frame(PING, ACK, 0, payload) });
    const door = await stage.front({ upstream: { ...times, pingIntervalMs: 10, port } });
    const stream = call(door);
    await once(stream, 'response');
    const before = pings.length;
    const other = call(await stage.front({ upstream: { ...times, port: (await startFrames({ head: true })).port } }));
    // As long as it takes to give another one up, ten intervals and more, this one lives.
    await once(other.resume(), 'close');
    assert.equal(stream.destroyed, false);
    assert.equal(pings.length, before + 1);
  });

  it('is not asked while nothing is under way', async () => {
    const { port, pings, server } = await startFrames({ head: false });
    const door = await stage.front({ upstream: { ...times, pingIntervalMs: 5, idleTimeoutMs: 100, port } });
    const stream = call(door);
    while (server.sockets.size === 0) await new Promise(setImmediate);
    stream.close();
    await once(stream, 'close');
    const before = pings.length;
    // It ends for want of anything to do.
    while (server.sockets.size > 0) await new Promise(setImmediate);
    assert.ok(pings.length - before <= 1);
  });
});

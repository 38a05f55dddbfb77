import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import type { Wire } from '../../src/server/exchange.ts';
import { type Front, type FrontNeeds, talk } from '../forward/front.ts';
import { createHttp2Stage } from '../forward/http2-stage.ts';
import { createStage, until } from '../forward/stage.ts';

const stage = createStage();
const http2 = createHttp2Stage();
after(async () => {
  await http2.close();
  await stage.close();
});

/** A decision that is made when the test says so. */
function heldDecision() {
  let make = () => {};
  let told = () => {};
  const made = new Promise<void>((resolve) => {
    make = resolve;
  });
  const asked = new Promise<void>((resolve) => {
    told = resolve;
  });
  return {
    make,
    asked,
    decision: () => {
      told();
      return made;
    },
  };
}

const upgrade =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';

function overHttp1(fields: string, body = '') {
  return (door: Front) => {
    const socket = connect(door.http1Port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(`${body === '' ? 'GET' : 'POST'} / HTTP/1.1\r\nHost: h\r\n${fields}\r\n${body}`);
    return () => void socket.resetAndDestroy();
  };
}

function overHttp2(rstCode: number | undefined) {
  return (door: Front) => {
    const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
    session.on('error', () => undefined);
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.on('error', () => undefined);
    stream.write('unread');
    stage.onClose(() => session.destroy());
    return () => (rstCode === undefined ? session.destroy() : stream.close(rstCode));
  };
}

const callers = [
  ['an HTTP/1.1 connection', overHttp1('')],
  ['an HTTP/1.1 connection in the middle of a body', overHttp1('Content-Length: 10\r\n', 'half')],
  ['an HTTP/1.1 connection before a WebSocket handshake is answered', overHttp1(upgrade)],
  ['an HTTP/2 connection', overHttp2(undefined)],
  ['an HTTP/2 stream, saying CANCEL', overHttp2(8)],
  ['an HTTP/2 stream, saying that nothing is wrong', overHttp2(0)],
] as const;

/** Resolves when the last event has passed by that tells of the caller's end. */
function gone(wire: Wire): Promise<void> {
  return new Promise((resolve) => {
    if (wire.kind === 'http1') wire.response.once('close', resolve);
    else if (wire.kind === 'http2') wire.stream.once('aborted', resolve);
    // Only who reads learns that a caller is gone, and nobody else reads a socket that was handed over.
    else
      wire.socket
        .on('error', () => undefined)
        .resume()
        .once('close', resolve);
  });
}

/** @returns the door, when the request is over that the caller gave up */
async function vanish(call: (door: Front) => () => void, needs: FrontNeeds): Promise<Front> {
  const held = heldDecision();
  const door = await stage.front({ ...needs, decision: held.decision });
  const leave = call(door);
  await held.asked;
  const wire = door.lastWire();
  assert.ok(wire);
  const left = gone(wire);
  leave();
  await left;
  const outcome = door.nextOutcome();
  held.make();
  assert.deepEqual(await outcome, { kind: 'abandoned' });
  return door;
}

const plain = 'GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

describe('a caller who leaves while its decision is awaited', () => {
  for (const [what, call] of callers) {
    it(`by ending ${what} is not asked for at the upstream`, async () => {
      const upstream = await stage.raw((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
      // The exchange says nothing: whoever waits for an event has to find out alone.
      const door = await vanish(call, { upstream: { port: upstream.port }, isGone: () => false });
      await talk(door.http1Port, plain);
      assert.match(upstream.received.join(''), /^GET \/next /);
    });

    if (what.includes('WebSocket')) continue;
    it(`by ending ${what} is not asked for at an HTTP/2 upstream`, async () => {
      const paths: unknown[] = [];
      const upstream = await http2.startUpstream((stream, raw) => {
        paths.push(raw[raw.indexOf(':path') + 1]);
        stream.respond({ ':status': 204 }, { endStream: true });
      });
      const door = await vanish(call, { upstream: { port: upstream.port, protocol: 'h2c' }, isGone: () => false });
      await talk(door.http1Port, plain);
      assert.deepEqual(paths, ['/next']);
    });
  }

  it('and whose exchange says so has no connection opened', async () => {
    const upstream = await stage.raw((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'));
    const door = await stage.front({ upstream: { port: upstream.port }, isGone: () => true });
    const outcome = door.nextOutcome();
    const caller = connect(door.http1Port, '127.0.0.1');
    caller.write(plain);
    assert.deepEqual(await outcome, { kind: 'abandoned' });
    assert.equal(door.measured.length, 0);
    assert.equal(upstream.sockets.length, 0);
    caller.destroy();
  });
});

describe('a caller who pipelines requests and leaves', () => {
  it('takes those along whose turn had not come', async () => {
    const open = new Set<Socket>();
    const upstream = await stage.raw((socket, head) => {
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      if (head.includes('/second')) socket.write('HTTP/1.1 200 OK\r\n\r\nevents without end');
    });
    const door = await stage.front({ upstream: { port: upstream.port } });
    const caller = connect(door.http1Port, '127.0.0.1');
    caller.write('GET /first HTTP/1.1\r\nHost: h\r\n\r\nGET /second HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => open.size === 2, caller);
    const both = [door.nextOutcome(), door.nextOutcome()];
    const ended = [...open].map((socket) => once(socket, 'close'));
    caller.resetAndDestroy();
    await Promise.all([...both, ...ended]);
  });
});

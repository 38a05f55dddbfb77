import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { type Front, listen, talk } from './front.ts';
import { bodyOf, createHttp2Stage } from './http2-stage.ts';
import { createRaw } from './places.ts';
import { deadPort } from './raw-upstream.ts';
import { createStage } from './stage.ts';

const stage = createStage();
after(stage.close);
const http2 = createHttp2Stage();
after(http2.close);

const ask = (target: string, more = '') => `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n${more}\r\n`;
const upgrade = (target: string) =>
  `GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A server that does what the target asks for; what it holds is in `held`. */
async function startMishaps(): Promise<{ port: number; held: Socket[]; sockets: Set<Socket> }> {
  const held: Socket[] = [];
  const server = createRaw((socket) => {
    socket.on('data', (chunk) => {
      const target = chunk.toString('latin1').split(' ')[1];
      if (target === '/reset') socket.resetAndDestroy();
      else if (target === '/half')
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', () => socket.destroy());
      else if (target === '/garbage') socket.write('no HTTP\r\n\r\n');
      else if (target === '/held') held.push(socket);
      else if (target === '/switch') {
        held.push(socket);
        socket.write('HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      } else socket.write(OK);
    });
  });
  const port = await listen(server);
  stage.onClose(() => {
    server.close();
    for (const socket of server.sockets) socket.destroy();
  });
  return { port, held, sockets: server.sockets };
}

async function turns(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

/** Sends something, and leaves once the upstream holds it. */
async function leave(door: Front, held: { readonly length: number }, bytes: string): Promise<void> {
  const before = held.length;
  const socket = connect(door.http1Port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(bytes);
  await turns(() => held.length > before);
  const ended = door.nextOutcome();
  socket.resetAndDestroy();
  await ended;
}

const mishaps = ['/reset', '/half', '/garbage', '/ok'];

describe('the place of a request at its upstream', () => {
  it('is given back whatever becomes of it: with one place for all, the next is served', async () => {
    const { port, held } = await startMishaps();
    const door = await stage.front({ upstream: { port, maxConnections: 1 } });
    for (let round = 0; round < 3; round += 1) {
      for (const target of mishaps) await talk(door.http1Port, ask(target));
      await talk(door.http1Port, `${ask('/ok', 'Transfer-Encoding: chunked\r\n')}zz\r\n`);
      await leave(door, held, ask('/held'));
      await leave(door, held, upgrade('/held'));
      await leave(door, held, upgrade('/switch'));
      for (const target of mishaps) await talk(door.http1Port, upgrade(target));
      assert.match(await talk(door.http1Port, ask('/ok')), /ok$/);
    }
  });

  it('is given back where nobody listens', async () => {
    const door = await stage.front({ upstream: { port: await deadPort(), maxConnections: 1 } });
    for (let i = 0; i < 3; i += 1) {
      assert.match(await talk(door.http1Port, ask('/')), /upstream_unreachable$/);
      assert.match(await talk(door.http1Port, upgrade('/')), /upstream_unreachable$/);
    }
  });

  it('is counted at its address until the end, and never longer', async () => {
    const [a, b] = [await startMishaps(), await startMishaps()];
    const targets = [a.port, b.port, await deadPort()].map((port) => ({ host: '127.0.0.1', port }));
    const door = await stage.front({ upstream: { targets } });
    const both = {
      get length() {
        return a.held.length + b.held.length;
      },
    };
    for (let round = 0; round < 3; round += 1) {
      for (const target of mishaps) {
        await talk(door.http1Port, ask(target));
        await talk(door.http1Port, upgrade(target));
      }
      for (const bytes of [ask('/held'), upgrade('/held'), upgrade('/switch')]) await leave(door, both, bytes);
      await turns(() => door.state().inFlight === 0);
    }
    const caller = connect(door.http1Port, '127.0.0.1');
    const before = both.length;
    caller.write(ask('/held'));
    await turns(() => both.length > before);
    assert.equal(door.state().inFlight, 1);
    caller.destroy();
  });

  it('is counted over HTTP/2, too', async () => {
    const streams: ServerHttp2Stream[] = [];
    const upstream = await http2.startUpstream((stream, raw) => {
      streams.push(stream);
      const target = raw[raw.indexOf(':path') + 1];
      if (target === '/reset') stream.close(2);
      else if (target === '/lost') stream.session?.destroy();
      else if (target === '/ok') stream.respond({ ':status': 200 }, { endStream: true });
      else stream.respond({ ':status': 200 });
    });
    const door = await http2.front({ upstream: { port: upstream.port } });
    const session = http2.caller(door);
    for (const target of ['/reset', '/lost', '/ok', '/reset', '/ok'])
      await bodyOf(session.request({ ':path': target }));
    const left = session.request({ ':path': '/left' });
    await once(left, 'response');
    assert.equal(door.state().inFlight, 1);
    left.close(8);
    await turns(() => door.state().inFlight === 0);
    const dead = await http2.front({ upstream: { port: await deadPort() } });
    await bodyOf(http2.caller(dead).request({ ':path': '/' }));
    await turns(() => dead.state().inFlight === 0);
    assert.deepEqual(dead.state(), { inUse: 0, leftAlone: 1, inFlight: 0 });
  });
});

describe('the places of an upstream', () => {
  it('are so many for all its addresses together; who comes then waits, and is served in order', async () => {
    const [a, b] = [await startMishaps(), await startMishaps()];
    const targets = [a, b].map(({ port }) => ({ host: '127.0.0.1', port }));
    const door = await stage.front({ upstream: { targets, maxConnections: 2, connectTimeoutMs: 5000 } });
    const callers = Array.from({ length: 5 }, () => talk(door.http1Port, ask('/held')));
    const held = () => [...a.held, ...b.held];
    await turns(() => held().length === 2);
    const handshake = await talk(door.http1Port, upgrade('/switch'));
    assert.match(handshake, /upstream_unreachable$/);
    for (let served = 0; served < 5; served += 1) {
      await turns(() => a.held.length + b.held.length > 0);
      assert.ok(a.sockets.size + b.sockets.size <= 4);
      (a.held.shift() ?? b.held.shift())?.write(OK);
    }
    for (const answer of await Promise.all(callers)) assert.match(answer, /ok$/);
  });

  it('that do not come free in time are not waited for longer, and nobody who left is in the way', async () => {
    const { port, held } = await startMishaps();
    const door = await stage.front({ upstream: { port, maxConnections: 1, connectTimeoutMs: 40 } });
    const first = talk(door.http1Port, ask('/held'));
    await turns(() => held.length === 1);
    const late = await Promise.all(Array.from({ length: 20 }, () => talk(door.http1Port, ask('/ok'))));
    for (const answer of late) assert.match(answer, /upstream_unreachable$/);
    held[0]?.write(OK);
    assert.match(await first, /ok$/);
    assert.match(await talk(door.http1Port, ask('/ok')), /ok$/);
  });
});

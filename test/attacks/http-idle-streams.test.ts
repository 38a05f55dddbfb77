import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp1 } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { collectGarbage, residentMiB } from '../../bench/resident.ts';
import { type Child, startChild } from '../flows/child.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';

/** Tenths of what `npm run bench -- --only idle-streams` opens, with the room that its target leaves to each. */
const streams = 1000;
const streamKiB = 35;
const sockets = 500;
const socketKiB = 50;

// The resident memory of another process is told by Linux only.
describe('thousands of idle streams', { timeout: 120_000, skip: process.platform !== 'linux' }, () => {
  let rig: FakeRig;
  let child: Child;
  before(async () => {
    const route = { access: 'public', upstream: 'control-plane' };
    rig = await startFakeRig({
      upstream: await startUpgradeUpstream(),
      settings: {
        // A quarter of all connections of an upstream is open to public routes: enough for these.
        'upstreams.watch.url': await startWatchUpstream(),
        'log.level': 'warn',
        routes: [
          { ...route, path: '/' },
          { ...route, path: '/s', upstream: 'watch' },
        ],
      },
    });
    await rig.stop();
    child = await startChild(rig.settings.file, ['--inspect=127.0.0.1:0']);
  });
  const swept = async () => {
    await collectGarbage(child.debugger ?? '');
    return residentMiB(child.pid) ?? Number.NaN;
  };

  /** How much the gateway grows with so many open; all are closed again. */
  async function growth(open: () => Promise<() => Promise<void>>): Promise<number> {
    // What is only made once, such as compiled code, is not the streams' own.
    await (await open())();
    const before = await swept();
    const close = await open();
    const grown = (await swept()) - before;
    await close();
    return grown;
  }

  it(`cost at most ${streamKiB} KiB each, and nothing once they are closed`, async () => {
    const open = () => openStreams(rig.port);
    const first = await growth(open);
    assert.ok(first < (streams * streamKiB) / 1024, `${first} MiB for ${streams} streams`);
    const closed = await swept();
    for (let round = 0; round < 3; round++) await (await open())();
    const left = (await swept()) - closed;
    assert.ok(left < 10, `${left} MiB were left of ${3 * streams} streams`);
  });

  it(`cost at most ${socketKiB} KiB each when they are WebSockets`, async () => {
    const grown = await growth(() => openSockets(rig.port));
    assert.ok(grown < (sockets * socketKiB) / 1024, `${grown} MiB for ${sockets} WebSockets`);
  });
});

async function openStreams(port: number): Promise<() => Promise<void>> {
  const sessions: ClientHttp2Session[] = [];
  for (let open = 0; open < streams; open += 100) {
    const session = connectHttp2(`http://127.0.0.1:${port}`);
    sessions.push(session);
    const calls = Array.from({ length: 100 }, async () => {
      const call = session.request({ ':method': 'POST', ':path': '/s/Watch', 'content-type': 'application/grpc' });
      call.on('error', () => undefined); // of the end of its session
      call.end('question');
      await once(call, 'data');
    });
    await Promise.all(calls);
  }
  return async () => {
    await Promise.all(
      sessions.map((session) => {
        const closed = once(session, 'close');
        session.destroy();
        return closed;
      }),
    );
  };
}

async function openSockets(port: number): Promise<() => Promise<void>> {
  const opened: Socket[] = [];
  for (let i = 0; i < sockets; i++) {
    const socket = connect(port, '127.0.0.1');
    opened.push(socket);
    socket.write('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    let answer = '';
    while (!answer.endsWith('begun')) answer += String((await once(socket, 'data'))[0]);
  }
  return async () => {
    const closed = opened.map((socket) => once(socket, 'close'));
    for (const socket of opened) socket.resetAndDestroy();
    await Promise.all(closed);
  };
}

async function startWatchUpstream(): Promise<string> {
  const server = createHttp2();
  server.on('stream', (stream) => {
    stream.on('error', () => undefined);
    stream.resume();
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write('begun');
  });
  return `h2c://127.0.0.1:${await listen(server)}`;
}

async function startUpgradeUpstream(): Promise<string> {
  const server = createHttp1();
  server.on('upgrade', (_request, socket) => {
    socket.on('error', () => undefined);
    socket.resume();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbegun');
  });
  return `http://127.0.0.1:${await listen(server)}`;
}

async function listen(server: Server): Promise<number> {
  const connections = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endLater(async () => {
    server.close();
    for (const socket of connections) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

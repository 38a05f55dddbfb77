import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import type { Duplex, Writable } from 'node:stream';
import { before, describe, it } from 'node:test';
import { endLater } from '../flows/rig.ts';
import { type ByHand, startByHand } from './by-hand.ts';
import { nameOf } from './pairs.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** What one side wants to send: more than all buffers on the way together, the system's too (tcp_wmem, tcp_rmem). */
const TOTAL = 48 * MIB;
const PIECE = Buffer.alloc(64 * KIB, 'x');
/** What may come on top: a piece for each buffer, which is read before it shows that there is no room. */
const PIECES = 4 * 64 * KIB;

// The least and a large one.
for (const streamWindow of [64 * KIB, 4 * MIB]) {
  const size = `${streamWindow / KIB}KiB`;
  const settings = { 'server.limits.streamWindow': size, 'server.limits.connectionWindow': '8MiB' };
  const said = `streamWindow: ${size}`;
  const most = streamWindow + PIECES;
  /** @param buffers that the setting gives room to; the large one more than any of Node's own */
  const judge = (held: number, buffers: number) => {
    const least = streamWindow > MIB ? (buffers * streamWindow) / 4 - 64 * KIB : 0;
    assert.ok(held <= most, `${held} bytes are kept, where ${most} may be`);
    assert.ok(held >= least, `${held} bytes are kept, where at least ${least} should be`);
  };

  for (const pair of [
    { client: 'HTTP/1.1', upstream: 'HTTP/1.1', down: 2, up: 3 },
    { client: 'h2c', upstream: 'h2c', down: 3, up: 3 },
    { client: 'h2c', upstream: 'HTTP/1.1', down: 1, up: 3 },
    { client: 'HTTP/1.1', upstream: 'h2c', down: 3, up: 1 },
  ] as const) {
    describe(`What the gateway keeps of one stream that nobody reads, ${nameOf(pair)}, ${said}`, {
      timeout: 60_000,
    }, () => {
      let stage: ByHand;
      let sockets: Sockets;
      before(async () => {
        sockets = watchSockets(() => stage);
        stage = await startByHand(pair, settings);
      });

      it('a download', async () => {
        const { call, arrival } = await stage.meet('/download');
        const sender = startSending(arrival.start(200, []));
        await call.head;
        await standstill(stage, sender);
        const held = kept(sockets.upstream(), sockets.caller());
        call.cancel();
        await call.ended;
        judge(held, pair.down);
      });

      it('an upload', async () => {
        const call = stage.open('/upload', { method: 'PUT', hasBody: true });
        const sender = startSending(call.body);
        await stage.arrival('/upload');
        await standstill(stage, sender);
        const held = kept(sockets.caller(), sockets.upstream());
        call.cancel();
        await call.ended;
        judge(held, pair.up);
      });
    });
  }

  describe(`What the gateway keeps of a WebSocket whose bytes nobody reads, ${said}`, { timeout: 60_000 }, () => {
    const accepted: ((socket: Duplex) => void)[] = [];
    let stage: ByHand;
    let sockets: Sockets;
    before(async () => {
      const onUpgrade = (_request: unknown, socket: Duplex) => accepted.shift()?.(socket);
      sockets = watchSockets(() => stage);
      stage = await startByHand({ client: 'HTTP/1.1', upstream: 'HTTP/1.1' }, settings, onUpgrade);
    });

    /** Both ends of an upgraded connection, unread. */
    const open = async () => {
      const service = new Promise<Duplex>((resolve) => accepted.push(resolve));
      const client = connect(stage.rig.port, '127.0.0.1');
      endLater(async () => void client.destroy());
      const head = ['GET /ws HTTP/1.1', 'Host: matrix.test', `Authorization: ${stage.authorization}`];
      const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
      client.write([...head, ...upgrade, 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', ''].join('\r\n'));
      const up = await service;
      up.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
      await once(client, 'data');
      client.pause();
      up.pause();
      return { client, service: up };
    };

    it('towards the client', async () => {
      const { client, service } = await open();
      await standstill(stage, startSending(service));
      const held = kept(sockets.upstream(), sockets.caller());
      client.destroy();
      judge(held, 2);
    });

    it('towards the service', async () => {
      const { client } = await open();
      await standstill(stage, startSending(client));
      const held = kept(sockets.caller(), sockets.upstream());
      client.destroy();
      judge(held, 2);
    });
  });
}

/** The gateway's own connections. */
interface Sockets {
  /** To the upstream, and from a caller: of those that are open the one that moved most. */
  upstream(): Socket;
  caller(): Socket;
}

/** Node tells of every socket that is made in this process; the gateway's are told by their ports. */
function watchSockets(stage: () => ByHand): Sockets {
  const dialled: Socket[] = [];
  const taken: Socket[] = [];
  const onDialled = (message: unknown) => void dialled.push(socketIn(message));
  const onTaken = (message: unknown) => void taken.push(socketIn(message));
  subscribe('net.client.socket', onDialled);
  subscribe('net.server.socket', onTaken);
  endLater(async () => {
    unsubscribe('net.client.socket', onDialled);
    unsubscribe('net.server.socket', onTaken);
  });
  const moved = (socket: Socket) => socket.bytesRead + socket.bytesWritten;
  const busiest = (sockets: readonly Socket[]) => sockets.toSorted((a, b) => moved(b) - moved(a))[0];
  const found = (socket: Socket | undefined) => socket ?? assert.fail('no such connection');
  return {
    upstream: () => found(busiest(dialled.filter((one) => !one.destroyed && one.remotePort === stage().upstreamPort))),
    caller: () => found(busiest(taken.filter((one) => !one.destroyed && one.localPort === stage().rig.port))),
  };
}

function socketIn(message: unknown): Socket {
  const { socket } = message as { socket: unknown };
  return socket instanceof Socket ? socket : assert.fail('no socket');
}

/** Bytes that were taken from one side, and that the system did not take for the other yet. */
function kept(from: Socket, to: Socket): number {
  return from.bytesRead - (to.bytesWritten - to.writableLength);
}

interface Sender {
  sent(): number;
}

/** Sends as fast as it may. */
function startSending(to: Writable): Sender {
  let sent = 0;
  to.on('error', () => undefined); // cancelled when the figures are taken
  const send = () => {
    while (sent < TOTAL && !to.destroyed) {
      sent += PIECE.length;
      if (!to.write(PIECE)) {
        to.once('drain', send);
        return;
      }
    }
  };
  send();
  return { sent: () => sent };
}

/** Ends when nothing more was sent while 30 requests were made one after the other. */
async function standstill(stage: ByHand, { sent }: Sender): Promise<void> {
  let last = -1;
  for (let quiet = 0; quiet < 30; quiet++) {
    const answer = stage.open('/me', { fields: ['Accept', 'application/json'] });
    (await answer.head).body.resume();
    await answer.ended;
    if (sent() !== last) quiet = 0;
    last = sent();
  }
  assert.ok(sent() < TOTAL, 'the sender was never stopped');
}

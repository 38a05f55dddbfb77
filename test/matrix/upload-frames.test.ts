import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { before, describe, it } from 'node:test';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { DATA, END_HEADERS, END_STREAM, fieldBlock, frame, HEADERS, SETTINGS } from '../server/raw-http2.ts';
import { FramePeer } from './frame-peer.ts';
import { listen } from './port.ts';

const MIB = 1 << 20;
/** The literal byte that says `:status: 200` (RFC 7541, index 8). */
const OK = frame(HEADERS, END_STREAM | END_HEADERS, 1, Buffer.from([0x88]));

/** One byte, what a connection takes at first, what is kept for a second try, and more than any window. */
const sizes = [1, 65_535, 65_536, 262_144, 700_001];

/** How the upstream gives room. Each ends when it has everything. */
const upstreams: Readonly<Record<string, (peer: FramePeer, size: number) => Promise<void>>> = {
  'room for each frame as it comes': async (peer) => {
    peer.send(frame(SETTINGS, 0, 0));
    for (let given = 0; !peer.isEnded; ) {
      if (peer.received > given) peer.grant(peer.received - given);
      given = peer.received;
      await peer.news();
    }
  },
  'no room until all of its window is used up': async (peer, size) => {
    peer.send(frame(SETTINGS, 0, 0));
    // Also where that was exactly all: an end without bytes may, but need not be sent into no room (RFC 9113 §6.9.1).
    for (let given = 65_535; given <= size; given += 65_535) {
      await peer.until(() => peer.received === given);
      peer.grant(65_535);
    }
    await peer.until(() => peer.isEnded);
  },
  'one byte of room, then some, then all, on the stream before the connection': async (peer, size) => {
    peer.settle(0);
    peer.grant(1, [1]);
    // Some may have been on its way before these settings were heard.
    await peer.until(() => peer.received >= Math.min(size, 1));
    peer.grant(65_534, [1]);
    await peer.until(() => peer.received >= Math.min(size, 65_535));
    peer.grant(MIB, [1]);
    peer.grant(MIB, [0]);
    await peer.until(() => peer.isEnded);
  },
  'room by its settings, after the connection’s': async (peer, size) => {
    peer.settle(0);
    peer.grant(MIB, [0]);
    await peer.until(() => peer.heads === 1);
    peer.settle(1);
    await peer.until(() => peer.received >= Math.min(size, 1));
    peer.settle(MIB);
    await peer.until(() => peer.isEnded);
  },
};

/** How the caller ends its body. */
const ends: Readonly<Record<string, (caller: FramePeer, body: Buffer, upstream: FramePeer) => Promise<void>>> = {
  'with its last bytes': (caller, body) => caller.sendBody(body, 'with its last frame'),
  'by an empty frame at once': async (caller, body) => {
    await caller.sendBody(body, 'open');
    caller.send(frame(DATA, END_STREAM, 1));
  },
  'by an empty frame, when all the rest has arrived': async (caller, body, upstream) => {
    await caller.sendBody(body, 'open');
    await upstream.until(() => upstream.received === body.length);
    caller.send(frame(DATA, END_STREAM, 1));
  },
  'by trailers': async (caller, body) => {
    await caller.sendBody(body, 'open');
    caller.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, fieldBlock([['x-sum', '1']])));
  },
};

describe('An upload over HTTP/2 on both sides comes to its end, however its frames fall', { timeout: 60_000 }, () => {
  const arrived: ((peer: FramePeer) => void)[] = [];
  let rig: FakeRig;
  let authorization: string;
  before(async () => {
    const server = createServer((socket) => arrived.shift()?.(new FramePeer(socket, true)));
    const upstream = await listen(server);
    endLater(upstream.close);
    rig = await startFakeRig({ upstream: `h2c://127.0.0.1:${upstream.port}` });
    authorization = `Bearer ${await rig.provider.accessToken()}`;
  });

  for (const [room, giveRoom] of Object.entries(upstreams)) {
    for (const [end, send] of Object.entries(ends)) {
      it(`the caller ends it ${end}, the upstream gives ${room}`, async () => {
        for (const size of sizes) await upload(size, giveRoom, send);
      });
    }
  }

  async function upload(size: number, giveRoom: (typeof upstreams)[string], send: (typeof ends)[string]) {
    const body = Buffer.alloc(size, `${size} `);
    const upstream = new Promise<FramePeer>((resolve) => arrived.push(resolve));
    const socket = connect(rig.port, '127.0.0.1');
    const caller = new FramePeer(socket, false);
    const fields = [
      [':method', 'PUT'],
      [':scheme', 'http'],
      [':authority', 'matrix.test'],
      [':path', '/up'],
    ] as const;
    const head = fieldBlock([...fields, ['authorization', authorization]]);
    caller.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1'), frame(SETTINGS, 0, 0));
    caller.send(frame(HEADERS, END_HEADERS, 1, head));
    const peer = await upstream;
    const taken = giveRoom(peer, size);
    await send(caller, body, peer);
    await taken;
    assert.equal(peer.digest, createHash('sha256').update(body).digest('hex'));
    peer.send(OK);
    await caller.until(() => caller.isEnded);
    assert.equal(caller.resetWith, undefined);
    socket.destroy();
    // The next one comes on a connection of its own.
    await peer.leave();
  }
});

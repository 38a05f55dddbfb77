import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { before, describe, it } from 'node:test';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { endLater } from '../flows/rig.ts';
import { type Stage, startStage } from './pairs.ts';

const MIB = 1 << 20;

describe('A WebSocket is the same directly and through the gateway', { concurrency: true, timeout: 30_000 }, () => {
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 0 },
    handleProtocols: (offered) => (offered.has('v2.flyte') ? 'v2.flyte' : false),
  });
  let stage: Stage;
  before(async () => {
    stage = await startStage(
      { client: 'HTTP/1.1', upstream: 'HTTP/1.1' },
      {
        serve: (arrival) => void arrival.start(426, []).end(),
        onUpgrade: (request, socket, head) =>
          server.handleUpgrade(request, socket, head, (accepted) => server.emit('connection', accepted, request)),
      },
    );
    endLater(async () => {
      for (const open of server.clients) open.terminate();
    });
  });

  for (const way of ['directly', 'through the gateway'] as const) {
    const port = () => (way === 'directly' ? stage.upstreamPort : stage.rig.port);

    /** Both ends of one WebSocket, and the bytes that its client's connection received. */
    const open = async (name: string, options: ClientOptions = {}, protocols: readonly string[] = []) => {
      const path = `/${name}/${way.length}`;
      const accepted = new Promise<WebSocket>((resolve) => {
        const look = (socket: WebSocket, request: { url?: string }) => {
          if (request.url !== path) return;
          server.off('connection', look);
          resolve(socket);
        };
        server.on('connection', look);
      });
      const received: Buffer[] = [];
      const createConnection = () => {
        const socket: Socket = connect(port(), '127.0.0.1');
        socket.on('data', (chunk: Buffer) => received.push(chunk));
        return socket;
      };
      const headers = { authorization: stage.authorization };
      const client = new WebSocket(`ws://matrix.test${path}`, [...protocols], {
        createConnection,
        headers,
        ...options,
      });
      endLater(async () => client.terminate());
      await once(client, 'open');
      return { client, service: await accepted, frames: () => framesOf(Buffer.concat(received)) };
    };

    it(`compression is agreed on end to end, ${way}`, async () => {
      const { client, service, frames } = await open('deflate', { perMessageDeflate: { threshold: 0 } });
      assert.equal(client.extensions, 'permessage-deflate');
      assert.equal(service.extensions, 'permessage-deflate');
      const arrived = once(client, 'message');
      service.send('the same again and again '.repeat(100));
      assert.equal(String((await arrived)[0]).length, 2500);
      const [first = 0] = frames();
      assert.equal(first & 0x40, 0x40, 'RSV1: compressed by the service (RFC 7692 §6)');
      assert.ok(frames().length < 200);
    });

    it(`nothing is compressed that nobody asked for, ${way}`, async () => {
      const { client, service } = await open('plain', { perMessageDeflate: false });
      assert.deepEqual([client.extensions, service.extensions], ['', '']);
    });

    it(`the sub-protocol is the service’s choice, ${way}`, async () => {
      const { client, service } = await open('protocol', {}, ['v3.flyte', 'v2.flyte']);
      assert.deepEqual([client.protocol, service.protocol], ['v2.flyte', 'v2.flyte']);
    });

    it(`ping and pong carry their own bytes, both ways, ${way}`, async () => {
      const { client, service } = await open('ping');
      for (const [from, to] of [
        [client, service],
        [service, client],
      ] as const) {
        const heard = Promise.all([once(to, 'ping'), once(from, 'pong')]);
        from.ping('still there?');
        assert.deepEqual((await heard).map(String), ['still there?', 'still there?']);
      }
    });

    it(`close codes and reasons go both ways, ${way}`, async () => {
      for (const [code, reason] of [
        [1000, ''],
        [1001, 'going away'],
        [1011, 'ü'],
        [4999, 'x'.repeat(120)],
      ] as const) {
        for (const who of ['client', 'service'] as const) {
          const ends = await open(`close-${code}-${who}`);
          const heard = Promise.all([once(ends.client, 'close'), once(ends.service, 'close')]);
          ends[who].close(code, reason);
          for (const [seen, why] of await heard) assert.deepEqual([seen, String(why)], [code, reason]);
        }
      }
    });

    it(`a message of 1 MiB arrives whole, both ways, ${way}`, async () => {
      const { client, service } = await open('large');
      const message = randomBytes(MIB);
      for (const [from, to] of [
        [client, service],
        [service, client],
      ] as const) {
        const arrived = once(to, 'message');
        from.send(message);
        assert.ok(message.equals((await arrived)[0]));
      }
    });

    it(`fragments stay fragments, each on its way at once, ${way}`, async () => {
      const { client, service, frames } = await open('fragments', { perMessageDeflate: false });
      const arrived = once(client, 'message');
      service.send('one ', { fin: false });
      // A ping between the fragments (RFC 6455 §5.4) shows that the first one did not wait for the last.
      const pinged = once(client, 'ping');
      service.ping('now');
      await pinged;
      assert.deepEqual([...frames().subarray(0, 2)], [0x01, 4]);
      service.send('two', { fin: true });
      assert.equal(String((await arrived)[0]), 'one two');
      assert.equal(frames().toString('latin1'), '\x01\x04one \x89\x03now\x80\x03two');
    });

    it(`the death of one side is 1006 for the other, ${way}`, async () => {
      for (const who of ['client', 'service'] as const) {
        const ends = await open(`death-${who}`);
        const other = who === 'client' ? ends.service : ends.client;
        other.on('error', () => undefined); // told by 'close'
        const closed = once(other, 'close');
        ends[who].terminate();
        assert.equal((await closed)[0], 1006);
      }
    });
  }
});

/** What followed the head of the answer. */
function framesOf(received: Buffer): Buffer {
  return received.subarray(received.indexOf('\r\n\r\n') + 4);
}

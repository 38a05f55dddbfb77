import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { createTunnel } from '../../src/forward/tunnel.ts';
import { listen } from './front.ts';

const server = createServer();
const sockets: Socket[] = [];
after(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Both ends of a connection. */
async function connection(port: number): Promise<{ near: Socket; far: Socket }> {
  const accepted = once(server, 'connection');
  const far = connect(port, '127.0.0.1');
  far.on('error', () => undefined);
  const [near]: Socket[] = await accepted;
  assert.ok(near);
  near.on('error', () => undefined);
  sockets.push(near, far);
  return { near, far };
}

describe('a tunnel with an end that was lost before', () => {
  for (const lost of ['caller', 'upstream'] as const)
    it(`(the ${lost}) resets the other one and is over`, async () => {
      const port = server.listening ? portOf() : await listen(server);
      const ends = { caller: await connection(port), upstream: await connection(port) };
      const other = lost === 'caller' ? 'upstream' : 'caller';
      const closed = once(ends[lost].near, 'close');
      ends[lost].near.destroy();
      await closed;
      const reset = once(ends[other].far, 'error').catch((error: unknown) => [error]);
      const result = await new Promise((resolve) => {
        createTunnel({ caller: ends.caller.near, upstream: ends.upstream.near, idleMs: 0 }, resolve);
      });
      assert.deepEqual(result, { bytes: 0, complete: false });
      const [error] = await reset;
      assert.equal(error instanceof Error && 'code' in error && error.code, 'ECONNRESET');
    });
});

describe('a tunnel with a limit on silence', { timeout: 20_000 }, () => {
  async function tunnel(idleMs: number) {
    const port = server.listening ? portOf() : await listen(server);
    const ends = { caller: await connection(port), upstream: await connection(port) };
    const over = new Promise((resolve) => {
      createTunnel({ caller: ends.caller.near, upstream: ends.upstream.near, idleMs }, resolve);
    });
    return { caller: ends.caller.far, upstream: ends.upstream.far, over };
  }

  it('resets both sides when neither says anything for so long', async () => {
    const { caller, upstream, over } = await tunnel(100);
    const failed = [caller, upstream].map((far) => once(far.resume(), 'error').catch((error: unknown) => [error]));
    assert.deepEqual(await over, { bytes: 0, complete: false });
    for (const [error] of await Promise.all(failed))
      assert.equal(error instanceof Error && 'code' in error && error.code, 'ECONNRESET');
  });

  for (const talker of ['caller', 'upstream'] as const)
    it(`goes on while the ${talker} says something`, async () => {
      const ends = await tunnel(1500);
      const listener = ends[talker === 'caller' ? 'upstream' : 'caller'];
      const startedAt = performance.now();
      const drip = setInterval(() => ends[talker].write('.'), 50);
      while (performance.now() - startedAt < 3000) await once(listener, 'data');
      clearInterval(drip);
      assert.equal(ends[talker].destroyed, false);
      ends[talker].destroy();
      await ends.over;
    });
});

function portOf(): number {
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { requireProgram } from '../programs.ts';
import { ask } from './ask.ts';
import { startBehindNginx } from './nginx-front.ts';
import { endLater, type RigOptions, startFakeRig } from './rig.ts';

const program = requireProgram('nginx');

/** A way to a port of this machine that counts who comes along. */
async function startRelay(to: number): Promise<{ readonly port: number; count(): number }> {
  let count = 0;
  const sockets = new Set<Socket>();
  const relay = createServer((near) => {
    count += 1;
    const far = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy()).on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return { port: (relay.address() as AddressInfo).port, count: () => count };
}

describe('the checks of nginx', { skip: program.skip }, () => {
  it('share a connection to the gateway, one after the other', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    let relay: Awaited<ReturnType<typeof startRelay>> | undefined;
    const start = async (options: RigOptions) => {
      const rig = await startFakeRig({ ...options, upstream: upstream.url });
      relay = await startRelay(rig.port);
      return { ...rig, port: relay.port };
    };
    const { rig, front } = await startBehindNginx({ path: program.path, start });
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const before = relay?.count() ?? 0;
    for (let i = 0; i < 10; i++) {
      const { status } = await ask(`${front.url}/api/v1/projects`, { fields: { authorization } });
      assert.equal(status, 200);
    }
    assert.ok((relay?.count() ?? 0) - before <= 1, `${(relay?.count() ?? 0) - before} connections for ten checks`);
  });
});

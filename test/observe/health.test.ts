import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it } from 'node:test';
import { canConnectToAny } from '../../src/observe/health.ts';

describe('several places', () => {
  it('are there when one of them is', async () => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const [there, gone] = [
      { host: '127.0.0.1', port },
      { host: '127.0.0.2', port },
    ];
    assert.equal(await canConnectToAny([gone, there], 1000), true);
    assert.equal(await canConnectToAny([gone], 1000), false);
    server.close();
    await once(server, 'close');
    assert.equal(await canConnectToAny([gone, there], 1000), false);
  });
});

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { createStage } from './stage.ts';

const stage = createStage();
const { front, raw } = stage;
after(stage.close);

describe('an HTTP/1.1 upload', () => {
  it('stops the caller when the upstream does not read', async () => {
    const upstream = await raw((socket) => socket.pause());
    const door = await front({ upstream: { port: upstream.port } });
    const client = connect(door.http1Port, '127.0.0.1');
    client.on('error', () => undefined);
    client.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
    let taken = 0;
    let stuck = 0;
    while (stuck < 400 && taken < 1000) {
      if (client.writableNeedDrain) {
        stuck += 1;
        await new Promise(setImmediate);
      } else {
        stuck = 0;
        taken += 1;
        client.write(chunk);
      }
    }
    assert.ok(taken < 1000, 'the gateway took in 64 MB that nobody read');
    client.destroy();
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { listen, talk } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
after(stage.close);

const handshake =
  'GET /large HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';

/** More than the kernels of three connections keep. */
const LARGE = Buffer.alloc(64 * 1_048_576);

describe('a caller that does not read why its handshake was refused', { timeout: 20_000 }, () => {
  it('gives back the connection to the service that it holds', async () => {
    const server = createServer((_request, response) => response.end('served'));
    server.on('upgrade', (request, socket: Socket) => {
      socket.on('error', () => undefined);
      socket.write(`HTTP/1.1 403 No\r\nContent-Length: ${LARGE.length}\r\n\r\n`);
      socket.write(LARGE);
      void request;
    });
    const port = await listen(server);
    stage.onClose(() => {
      server.close();
      server.closeAllConnections();
    });
    const door = await stage.front({ upstream: { port, maxConnections: 1 }, limits: { bodyIdleMs: 200 } });
    const caller = connect(door.http1Port, '127.0.0.1').pause();
    stage.onClose(() => void caller.destroy());
    caller.on('error', () => undefined);
    const outcome = door.nextOutcome();
    caller.write(handshake);
    await once(caller, 'readable');
    const { kind, ...rest } = await outcome;
    assert.deepEqual([kind, 'complete' in rest && rest.complete], ['answered', false]);
    const answer = await talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n[\s\S]*served$/);
  });
});

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { talk } from '../forward/front.ts';
import { createHttp2Stage } from '../forward/http2-stage.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
const http2 = createHttp2Stage();
after(async () => {
  await http2.close();
  await stage.close();
});

const handshake = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const client = { address: '192.0.2.7', scheme: 'https' as const, host: 'public.example' };

describe('a request that a trusted proxy says was for another host', () => {
  for (const [what, fields] of [
    ['over HTTP/1.1', 'Connection: close\r\n'],
    ['as a WebSocket handshake', handshake],
  ] as const)
    it(`reaches the service ${what} under the host that chose its route`, async () => {
      const upstream = await stage.raw((socket) => socket.end('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'));
      const door = await stage.front({ upstream: { port: upstream.port }, plan: { client } });
      await talk(door.http1Port, `GET /admin HTTP/1.1\r\nHost: Internal.example\r\n${fields}\r\n`);
      assert.match(upstream.received[0] ?? '', /\r\nhost: public\.example\r\n/i);
      assert.doesNotMatch(upstream.received[0] ?? '', /internal/i);
    });

  it('reaches the service over HTTP/2 under the host that chose its route', async () => {
    let seen: readonly string[] = [];
    const upstream = await http2.startUpstream((stream, raw) => {
      seen = raw;
      stream.respond({ ':status': 200 }, { endStream: true });
    });
    const door = await http2.front({ upstream: { port: upstream.port }, plan: { client } });
    await talk(door.http1Port, 'GET /admin HTTP/1.1\r\nHost: Internal.example\r\nConnection: close\r\n\r\n');
    assert.equal(seen[seen.indexOf(':authority') + 1], 'public.example');
    assert.ok(!seen.some((part) => /internal/i.test(part)));
  });
});

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createForward } from '../../src/forward/forward.ts';
import { endless, usualTimes } from '../forward/front.ts';
import { createStage } from '../forward/stage.ts';
import { openPort } from '../server/port.ts';
import { exchangeRaw } from '../server/raw-connection.ts';

const stage = createStage();
after(stage.close);

const heads = {
  request: 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
  handshake:
    'GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
};

describe('once the connections to upstreams have ended, no more are opened', { timeout: 10_000 }, () => {
  for (const [name, head] of Object.entries(heads)) {
    it(`by a ${name} on a connection that a caller still has`, async () => {
      const upstream = await stage.raw((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
      const up = {
        name: 'up',
        protocol: 'http' as const,
        targets: [{ host: '127.0.0.1', port: upstream.port }],
        ...usualTimes,
        identityHeaders: [],
        upstreamAuthorization: 'verified' as const,
        connectTimeoutMs: 2000,
        headersTimeoutMs: 5000,
      };
      const ignore = () => undefined;
      const { forward, close } = createForward({
        upstreams: { up },
        isIdentityHeader: () => false,
        isOurCookie: () => false,
        flyteHeaders: [],
        limits: { streamWindow: 262_144, upgradeIdleMs: 0, bodyIdleMs: 60_000 },
        underWay: endless(),
        log: { debug: ignore, info: ignore, warn: ignore, error: ignore },
        metrics: {
          request: ignore,
          decision: ignore,
          signIn: ignore,
          signOut: ignore,
          backchannelLogout: ignore,
          streamsEnded: ignore,
          renewal: ignore,
          upstream: ignore,
          watchUpstream: ignore,
          redisFailure: ignore,
          watchRedis: ignore,
          apiKey: ignore,
          introspection: ignore,
          page: () => Promise.resolve({ contentType: '', body: '' }),
        },
      });
      const client = { address: '192.0.2.7', scheme: 'https' as const, host: 'h' };
      const plan = {
        upstream: 'up',
        identity: [],
        bearer: undefined,
        isPublic: false,
        maxBodyBytes: undefined,
        client,
      };
      const port = await openPort({
        handler: async (exchange) => {
          const outcome = await forward(exchange, plan);
          exchange.send({ status: 503, fields: [], body: outcome.kind === 'failed' ? outcome.code : outcome.kind });
        },
      });
      await close();
      assert.match(await exchangeRaw(port, head), /\r\n\r\nshutting_down$/);
      assert.equal(upstream.sockets.length, 0);
    });
  }
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, describe, it } from 'node:test';
import { talk } from './front.ts';
import { deadPort } from './raw-upstream.ts';
import { createStage, until } from './stage.ts';

const stage = createStage();
const { front, raw } = stage;
after(stage.close);

const GET = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';

describe('a failing HTTP/1.1 upstream', { timeout: 60_000 }, () => {
  it('that does not listen is unreachable', async () => {
    const door = await front({ upstream: { port: await deadPort() } });
    assert.match(await talk(door.http1Port, GET), /upstream_unreachable$/);
    assert.deepEqual(door.measured, ['failed']);
  });

  it('that never answers is a timeout', async () => {
    const upstream = await raw(() => undefined);
    const door = await front({ upstream: { port: upstream.port, headersTimeoutMs: 300 } });
    assert.match(await talk(door.http1Port, GET), /upstream_timeout$/);
  });

  it('that closes without an answer gets a safe request once more, and only once', async () => {
    const upstream = await raw((socket) => socket.destroy());
    const door = await front({ upstream: { port: upstream.port } });
    assert.match(await talk(door.http1Port, GET), /upstream_broken$/);
    assert.equal(upstream.received.length, 2);
  });

  it('that closes without an answer never gets another request twice', async () => {
    const upstream = await raw((socket) => socket.destroy());
    const door = await front({ upstream: { port: upstream.port } });
    assert.match(await talk(door.http1Port, GET.replace('GET', 'DELETE')), /upstream_broken$/);
    assert.match(await talk(door.http1Port, GET.replace('GET', 'POST')), /upstream_broken$/);
    assert.equal(upstream.received.length, 2);
  });

  it('that closed an idle connection goes unnoticed', async () => {
    const upstream = await raw((socket, _head, index) => {
      if (index === 0) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na');
      else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb');
    });
    const door = await front({ upstream: { port: upstream.port } });
    assert.match(await talk(door.http1Port, GET), /a$/);
    assert.match(await talk(door.http1Port, GET), /b$/);
  });

  for (const [what, head] of [
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
  ] as const) {
    it(`that dies in the middle of an answer with ${what} ends the caller's connection by reset`, async () => {
      const upstream = await raw((socket) => socket.write(head));
      const door = await front({ upstream: { port: upstream.port } });
      for (const version of ['1.1', '1.0']) {
        const client = connect(door.http1Port, '127.0.0.1');
        const failed = once(client, 'error').catch((error: unknown) => [error]);
        client.write(GET.replace('HTTP/1.1', `HTTP/${version}`));
        let answer = '';
        client.on('data', (chunk) => {
          answer += chunk;
        });
        await until(() => answer.includes('half'), client);
        upstream.sockets.at(-1)?.resetAndDestroy();
        const [error] = await failed;
        assert.equal(error.code, 'ECONNRESET');
      }
    });
  }
});

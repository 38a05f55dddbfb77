import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import { createHttp2Stage, type OnStream } from '../forward/http2-stage.ts';
import { createStage } from '../forward/stage.ts';

const stage = createStage();
const http2 = createHttp2Stage();
after(async () => {
  await http2.close();
  await stage.close();
});

const isPublic = (target: string) => target.startsWith('/public');

function post(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({ ':method': 'POST', ':path': path });
  stream.on('error', () => undefined);
  stream.write('slow');
  return stream;
}

async function statusOf(stream: ClientHttp2Stream): Promise<unknown> {
  const [headers] = await once(stream, 'response');
  stream.close();
  return headers[':status'];
}

describe('strangers on a public route who hold all that they can get', () => {
  it('leave three quarters of the connections to everybody else', async () => {
    let arrived = 0;
    let onArrival = () => {};
    const upstream = await stage.raw((socket, head) => {
      if (!head.includes(' /public')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
      else if (head.includes('/quick')) socket.write('HTTP/1.1 204 No Content\r\n\r\n');
      else {
        arrived += 1;
        onArrival();
      }
    });
    // A busy machine takes its time to open so many at once.
    const door = await stage.front({ upstream: { port: upstream.port, connectTimeoutMs: 60_000 }, isPublic });
    const strangers = http2.caller(door);
    const full = new Promise<void>((resolve) => {
      onArrival = () => {
        if (arrived === 1024) resolve();
      };
    });
    const held = Array.from({ length: 1024 }, () => post(strangers, '/public'));
    await full;

    const refused = door.nextOutcome();
    assert.equal(await statusOf(post(strangers, '/public')), 502);
    const outcome = await refused;
    assert.equal(outcome.kind === 'failed' && outcome.code, 'upstream_unreachable');
    assert.equal(await statusOf(post(http2.caller(door), '/private')), 200);

    const left = door.nextOutcome();
    held[0]?.close();
    await left;
    assert.equal(await statusOf(post(strangers, '/public/quick')), 204);
    strangers.destroy();
  });

  it('leave three quarters of the streams of an HTTP/2 upstream to everybody else', async () => {
    const arrivals: (() => void)[] = [];
    const onStream: OnStream = (stream, raw) => {
      if (!raw.includes('/public')) stream.respond({ ':status': 200 }, { endStream: true });
      else arrivals.shift()?.();
    };
    // One stream each: the 64 sessions that there may be carry 64, of which 16 are for strangers.
    const upstream = await http2.startUpstream(onStream, { maxConcurrentStreams: 1 });
    const door = await http2.front({ upstream: { port: upstream.port }, isPublic });
    const caller = http2.caller(door);
    assert.equal(await statusOf(post(caller, '/private')), 200);
    for (let i = 0; i < 16; i += 1) {
      const arrival = new Promise<void>((resolve) => arrivals.push(resolve));
      post(caller, '/public');
      await arrival;
    }
    assert.equal(await statusOf(post(caller, '/public')), 502);
    assert.equal(await statusOf(post(caller, '/private')), 200);
  });
});

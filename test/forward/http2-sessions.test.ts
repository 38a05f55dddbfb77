import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { after, describe, it } from 'node:test';
import { talk } from './front.ts';
import { bodyOf, createHttp2Stage, grpc } from './http2-stage.ts';
import { deadPort } from './raw-upstream.ts';

const stage = createHttp2Stage();
const { startUpstream, front, caller } = stage;
after(stage.close);

describe('connections to an HTTP/2 upstream', { timeout: 60_000 }, () => {
  it('carry many requests each, and are as many as its limit makes necessary', async () => {
    const held: ServerHttp2Stream[] = [];
    const all = Promise.withResolvers<void>();
    const upstream = await startUpstream(
      (stream) => {
        stream.respond({ ':status': 200 });
        if (held.push(stream) === 9) all.resolve();
      },
      { maxConcurrentStreams: 4 },
    );
    const door = await front({ upstream: { port: upstream.port } });
    const session = caller(door);
    const first = session.request({ ':path': '/' });
    await once(first, 'response'); // its SETTINGS are known now
    const rest = Array.from({ length: 8 }, () => session.request({ ':path': '/' }));
    await all.promise;
    assert.equal(upstream.sessions.length, 3);
    for (const stream of held) stream.end('x');
    for (const stream of [first, ...rest]) assert.equal(await bodyOf(stream), 'x');
  });

  it('carry no more than a thousand requests each where the upstream sets no limit, however early they come', async () => {
    const streams: number[] = [];
    const all = Promise.withResolvers<void>();
    let missing = 1001;
    const upstream = await startUpstream((stream, _raw, session) => {
      stream.respond({ ':status': 200 });
      streams[session] = (streams[session] ?? 0) + 1;
      missing -= 1;
      if (missing === 0) all.resolve();
    });
    const door = await front({ upstream: { port: upstream.port } });
    // All at once, before anything is known of the upstream.
    for (let i = 0; i < 1001; i += 1) caller(door).request({ ':path': '/' });
    await all.promise;
    assert.ok(upstream.sessions.length >= 2, `${upstream.sessions.length} connections`);
    assert.ok(streams.every((count) => count <= 1000));
  });

  it('that said GOAWAY finish what they carry and take no more', async () => {
    const held: { stream: ServerHttp2Stream; session: number }[] = [];
    const upstream = await startUpstream((stream, _raw, session) => {
      stream.respond({ ':status': 200 });
      held.push({ stream, session });
    });
    const door = await front({ upstream: { port: upstream.port } });
    const session = caller(door);
    const before = session.request({ ':path': '/' });
    await once(before, 'response');
    upstream.sessions[0]?.close();
    let after = session.request({ ':path': '/' });
    await once(after, 'response');
    // GOAWAY may cross the next request: that one still counts as carried.
    while (held.at(-1)?.session === 0) {
      after = session.request({ ':path': '/' });
      await once(after, 'response');
    }
    assert.equal(held.at(-1)?.session, 1);
    for (const { stream } of held) stream.end('x');
    assert.equal(await bodyOf(before), 'x');
    assert.equal(await bodyOf(after), 'x');
  });

  it('that were lost are made again', async () => {
    const upstream = await startUpstream((stream) => {
      stream.respond({ ':status': 200 });
      stream.end('x');
    });
    const door = await front({ upstream: { port: upstream.port } });
    const session = caller(door);
    assert.equal(await bodyOf(session.request({ ':path': '/' })), 'x');
    const [first] = upstream.sessions;
    assert.ok(first);
    const lost = once(first, 'close');
    first.destroy();
    await lost;
    const again = async () => bodyOf(session.request({ ':path': '/' }));
    // The loss may take a moment to arrive; it must not take more than that.
    assert.ok([await again(), await again()].includes('x'));
  });

  it('that nobody accepts fail the request before anything is answered', async () => {
    const door = await front({ upstream: { port: await deadPort() } });
    const stream = caller(door).request(grpc);
    stream.end();
    await once(stream, 'response');
    assert.equal(await bodyOf(stream), 'upstream_unreachable');
    assert.match(await talk(door.http1Port, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'), /upstream_unreachable$/);
    assert.deepEqual(door.measured, ['failed', 'failed']);
  });

  it('that never answer are a timeout', async () => {
    const cancelled = Promise.withResolvers<number>();
    const upstream = await startUpstream((stream) => {
      stream.resume();
      stream.on('close', () => cancelled.resolve(stream.rstCode));
    });
    const door = await front({ upstream: { port: upstream.port, headersTimeoutMs: 200 } });
    const stream = caller(door).request(grpc);
    stream.end('x');
    await once(stream, 'response');
    assert.equal(await bodyOf(stream), 'upstream_timeout');
    assert.equal(await cancelled.promise, 8);
  });

  it('that refuse a stream unprocessed get a request without a body once more', async () => {
    let refusals = 0;
    const upstream = await startUpstream((stream) => {
      if (refusals > 0) {
        stream.respond({ ':status': 200 });
        stream.end('x');
        return;
      }
      refusals += 1;
      stream.close(7);
    });
    const door = await front({ upstream: { port: upstream.port } });
    assert.equal(await bodyOf(caller(door).request({ ':path': '/' })), 'x');
    assert.equal(refusals, 1);
  });
});

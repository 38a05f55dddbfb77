import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { before, beforeEach, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { openSession } from '../server/http2-client.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

describe('routes[].maxBody', { timeout: 30_000 }, () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    const route = { upstream: 'control-plane', access: 'public' };
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: {
        'upstreams.two.url': upstream.url.replace('http:', 'h2c:'),
        routes: [
          { ...route, path: '/one', maxBody: '10B' },
          { ...route, path: '/two', maxBody: '10B', upstream: 'two' },
          { ...route, path: '/', maxBody: '64KiB' },
          { ...route, path: '/free' },
        ],
      },
    });
  });
  let seenBefore = 0;
  beforeEach(() => {
    upstream.script({ kind: 'echo' });
    seenBefore = upstream.requests.length;
  });
  const newRequests = () => upstream.requests.slice(seenBefore);

  for (const [what, path] of [
    ['HTTP/1.1', '/one/x'],
    ['HTTP/2', '/two/x'],
  ] as const)
    for (const [caller, ask] of [
      ['HTTP/1.1', overHttp1],
      ['HTTP/2', overHttp2],
    ] as const)
      describe(`from ${caller} to ${what}`, () => {
        it('lets a body of exactly so many bytes through', async () => {
          for (const announced of [true, false]) {
            const { status, body } = await ask(path, { body: '0123456789', announced });
            assert.equal(status, 200);
            assert.equal(JSON.parse(body).body, '0123456789');
          }
        });

        it('refuses a longer one by its Content-Length, before the service hears of it', async () => {
          const { status, body } = await ask(path, { body: '0123456789a', announced: true });
          assert.equal(status, 413);
          assert.equal(JSON.parse(body).code, 'resource_exhausted');
          assert.equal(newRequests().length, 0);
        });

        it('cuts a longer one that did not say so, and the service does not take it for whole', async () => {
          const { status, body } = await ask(path, { body: '0123456789a', announced: false });
          assert.equal(status, 413);
          assert.equal(JSON.parse(body).code, 'resource_exhausted');
          for (const request of newRequests()) assert.equal(await request.closed, false);
        });
      });

  it('refuses a gRPC call with resource_exhausted', async () => {
    const session = openSession(rig.port);
    const stream = session.request({ ':method': 'POST', ':path': '/two/Call', 'content-type': 'application/grpc' });
    stream.end('0123456789a');
    const [headers] = await once(stream, 'response');
    assert.deepEqual([headers[':status'], headers['grpc-status']], [200, '8']);
    assert.doesNotMatch(String(headers['grpc-message']), /unauthorized|unauthenticated/i);
    stream.resume();
    await once(stream, 'close');
  });

  it('ends a call whose answer has begun by trailers that say so', async () => {
    upstream.script({
      kind: 'by-hand',
      http2: (stream) => {
        stream.on('error', () => undefined);
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.write('hello');
      },
    });
    const session = openSession(rig.port);
    const stream = session.request({ ':method': 'POST', ':path': '/two/Call', 'content-type': 'application/grpc' });
    stream.write('01234');
    await once(stream, 'data');
    const trailers = once(stream, 'trailers');
    stream.write('56789a');
    assert.equal((await trailers)[0]['grpc-status'], '8');
    assert.equal(await newRequests()[0]?.closed, false);
  });

  it('answers a caller that goes on sending for ever', async () => {
    for (const overWhat of [sendForEver1, sendForEver2]) assert.equal(await overWhat('/one/x'), 413);
  });

  it('leaves routes without it alone', async () => {
    const { status } = await overHttp1('/free/x', { body: 'x'.repeat(200_000), announced: false });
    assert.equal(status, 200);
  });

  interface Upload {
    readonly body: string;
    /** Whether its length is said in the head. */
    readonly announced: boolean;
  }

  async function overHttp1(path: string, { body, announced }: Upload): Promise<{ status: number; body: string }> {
    const headers = announced ? { 'content-length': body.length } : { 'transfer-encoding': 'chunked' };
    const request = httpRequest(rig.url + path, { method: 'POST', headers, agent: false });
    request.on('error', () => undefined); // of a body that nobody wants any more
    request.end(body);
    const [response]: IncomingMessage[] = await once(request, 'response');
    assert.ok(response);
    return { status: response.statusCode ?? 0, body: await text(response) };
  }

  async function overHttp2(path: string, { body, announced }: Upload): Promise<{ status: number; body: string }> {
    const session = openSession(rig.port);
    const length = announced ? { 'content-length': String(body.length) } : {};
    const stream = session.request({ ':method': 'POST', ':path': path, ...length });
    stream.on('error', () => undefined); // as above
    stream.end(body);
    const [headers] = await once(stream, 'response');
    return { status: Number(headers[':status']), body: await text(stream) };
  }

  async function sendForEver1(path: string): Promise<number> {
    const headers = { 'transfer-encoding': 'chunked' };
    const request = httpRequest(rig.url + path, { method: 'POST', headers, agent: false });
    request.on('error', () => undefined);
    const closed = new Promise((resolve) => request.once('close', resolve));
    const more = () => {
      if (!request.destroyed) request.write(Buffer.alloc(16_384), () => setImmediate(more));
    };
    more();
    const [response]: IncomingMessage[] = await once(request, 'response');
    response?.on('error', () => undefined);
    response?.resume();
    await closed;
    return response?.statusCode ?? 0;
  }

  async function sendForEver2(path: string): Promise<number> {
    const stream = openSession(rig.port).request({ ':method': 'POST', ':path': path });
    stream.on('error', () => undefined);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    const more = () => {
      if (stream.writable) stream.write(Buffer.alloc(16_384), () => setImmediate(more));
    };
    more();
    const [headers] = await once(stream, 'response');
    stream.resume();
    await closed;
    return Number(headers[':status']);
  }
});

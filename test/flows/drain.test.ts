import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { before, describe, it } from 'node:test';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { WebSocket } from 'ws';
import { loadConfig } from '../../src/config/load.ts';
import { EchoRequestSchema, EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { createGateway } from '../../src/gateway.ts';
import { startEchoUpstream } from '../fakes/echo-upstream.ts';
import { freePort } from '../fakes/nginx.ts';
import { type Answer, ask } from './ask.ts';
import { createLogLines } from './log-lines.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

describe('streams that are open when the gateway is told to stop', { timeout: 30_000 }, () => {
  let rig: FakeRig;
  let authorization: string;
  let stopped: Promise<void>;
  let serverStream: Call;
  let bidi: Call;
  let connectStream: Promise<Buffer>;
  let events: IncomingMessage;
  let eventsClosed: Promise<unknown>;
  let socket: WebSocket;
  let socketClosed: Promise<unknown>;
  const isGoneAway = Promise.withResolvers<void>();

  before(async () => {
    rig = await startFakeRig({ settings: { 'server.drain': '2s', 'server.drainDelay': '0s' } });
    authorization = `Bearer ${await rig.provider.accessToken()}`;
    const session = connectHttp2(rig.url);
    // The end of the connection, which the calls of it report in their own way.
    session.on('error', () => undefined);
    session.once('goaway', () => isGoneAway.resolve());
    endLater(async () => session.destroy());
    serverStream = call(session, 'ServerStream', authorization);
    serverStream.stream.end(envelope({ text: 'tick', count: 1000, intervalMs: 20 }));
    bidi = call(session, 'BidiStream', authorization);
    bidi.stream.write(envelope({ text: 'before' }));
    connectStream = callConnect(`${rig.url}/${EchoService.typeName}/ServerStream`, authorization);
    const request = httpRequest(`${rig.url}/api/v1/ticks`, { headers: { authorization } });
    request.on('error', () => undefined); // the reset that its answer reports as well
    request.end();
    [events] = await once(request, 'response');
    eventsClosed = closed(events);
    socket = new WebSocket(`ws://127.0.0.1:${rig.port}/api/v1/echo`, { headers: { authorization } });
    socketClosed = closed(socket);
    await Promise.all([
      once(serverStream.stream, 'data'),
      once(bidi.stream, 'data'),
      once(events, 'data'),
      once(socket, 'open'),
    ]);
    stopped = rig.stop();
  });

  it('go on until server.drain, while nobody new is let in and /readyz says 503', async () => {
    const isRefused = new Promise<unknown>((resolve) =>
      connect(rig.port, '127.0.0.1').once('error', resolve).once('connect', resolve),
    );
    const ready = ask(`${rig.admin()}/readyz`);
    bidi.stream.write(envelope({ text: 'after' }));
    socket.send('after');
    await Promise.all([
      once(serverStream.stream, 'data'),
      once(bidi.stream, 'data'),
      once(events, 'data'),
      once(socket, 'message'),
      isGoneAway.promise,
    ]);
    assert.equal(Object(await isRefused).code, 'ECONNREFUSED');
    const { status, json } = await ready;
    assert.deepEqual([status, json()['state'], json()['ready']], [503, 'draining', false]);
  });

  it('then end as gRPC with trailers that say unavailable, and not with a bare reset', async () => {
    for (const { ended } of [serverStream, bidi]) {
      const { status, message, code } = await ended;
      assert.deepEqual([status, code], ['14', 0]);
      assert.match(decodeURIComponent(message), /^the gateway is shutting down/);
      assert.doesNotMatch(decodeURIComponent(message), /unauthenticated|unauthorized/i);
    }
  });

  it('then end as Connect with an EndStream envelope that says unavailable', async () => {
    const bytes = await connectStream;
    const last = envelopesIn(bytes).at(-1);
    assert.equal(last?.flags, 0x02);
    const { error } = JSON.parse(String(last?.payload));
    assert.equal(error.code, 'unavailable');
    assert.match(error.message, /^the gateway is shutting down/);
  });

  it('then end as server-sent events cut short, so that nobody takes them for complete', async () => {
    await eventsClosed;
    assert.equal(events.complete, false);
  });

  it('then end as a WebSocket cut short', async () => {
    assert.equal(await socketClosed, 1006);
  });

  it('are the last that the gateway waits for', async () => {
    await stopped;
    assert.equal(rig.log.of('gateway.stopped').length, 1);
    await assert.rejects(ask(`${rig.admin()}/healthz`), { code: 'ECONNREFUSED' });
  });
});

describe('requests that wait for their answer when the time to drain is over', { timeout: 20_000 }, () => {
  it('hear that the gateway is shutting down, each in its own protocol', async () => {
    const upstream = await startEchoUpstream();
    endLater(upstream.close);
    upstream.script({ kind: 'stall' });
    const routes = [{ path: '/', upstream: 'control-plane', access: 'public' }];
    const rig = await startFakeRig({ upstream: upstream.url, settings: { routes } });
    const arrived = [upstream.next()];
    const plain = rig.ask('/page');
    await Promise.all(arrived.splice(0));
    arrived.push(upstream.next());
    const session = connectHttp2(rig.url);
    session.on('error', () => undefined); // its end
    endLater(async () => session.destroy());
    const rpc = session.request({ ':method': 'POST', ':path': '/s/M', 'content-type': 'application/grpc' });
    rpc.end();
    const answered = once(rpc, 'response');
    await Promise.all(arrived);
    const stopped = rig.stop();
    const { status, json } = await plain;
    const { code, message } = json();
    assert.deepEqual([status, code], [503, 'unavailable']);
    assert.match(String(message), /^the gateway is shutting down/);
    const [headers] = await answered;
    assert.equal(headers['grpc-status'], '14');
    assert.match(String(headers['grpc-message']), /^the gateway is shutting down/);
    rpc.resume();
    await stopped;
    assert.deepEqual(
      rig.log.of('request.failed').map((line) => line['code']),
      ['shutting_down', 'shutting_down'],
    );
  });
});

describe('a gateway with nothing under way', () => {
  it('stops at once, however long server.drain is, once server.drainDelay is over', async () => {
    const rig = await startFakeRig({ settings: { 'server.drain': '1h', 'server.drainDelay': '0s' } });
    assert.equal((await rig.ask('/healthcheck')).status, 200);
    await rig.stop();
    assert.equal(rig.log.of('gateway.stopped').length, 1);
  });
});

describe('a gateway that does not listen yet', () => {
  it('says 503 on /readyz, and 200 once it does', async () => {
    const rig = await startFakeRig();
    await rig.stop();
    const loaded = await loadConfig(rig.settings.file);
    if (loaded.kind === 'mistakes') throw new Error('the settings were good enough for the rig');
    const adminPort = await freePort();
    // A name has to be looked up, which waits for its turn; the operator's address has not.
    const server = {
      ...loaded.config.server,
      listen: { host: 'localhost', port: 0 },
      admin: { host: '127.0.0.1', port: adminPort },
    };
    const gateway = await createGateway({ ...loaded.config, server }, { output: createLogLines().output });
    endLater(gateway.stop);
    const release = holdThreads(rig.settings.folder);
    let started: ReturnType<typeof gateway.start> | undefined;
    try {
      started = gateway.start();
      const early = await untilAnswered(`http://127.0.0.1:${adminPort}/readyz`);
      assert.deepEqual([early.status, early.json()['state']], [503, 'starting']);
    } finally {
      await release();
    }
    await started;
    const serving = await ask(`http://127.0.0.1:${adminPort}/readyz`);
    assert.deepEqual([serving.status, serving.json()['state']], [200, 'serving']);
  });
});

interface Call {
  readonly stream: ClientHttp2Stream;
  /** How it ended: the gRPC status of its trailers, and the code that the stream was closed with (RFC 9113 §7). */
  readonly ended: Promise<{ status: unknown; message: string; code: number | undefined }>;
}

/** A gRPC call by hand: a client library would say `unavailable` for a bare reset, too. */
function call(session: ClientHttp2Session, method: string, authorization: string): Call {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/${EchoService.typeName}/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    authorization,
  });
  stream.on('error', () => undefined); // a reset, whose code `ended` tells
  let trailers: Readonly<Record<string, unknown>> = {};
  stream.once('trailers', (received) => {
    trailers = received;
  });
  const ended = new Promise<Awaited<Call['ended']>>((resolve) => {
    stream.once('close', () => {
      const { 'grpc-status': status, 'grpc-message': message = '' } = trailers;
      resolve({ status, message: String(message), code: stream.rstCode });
    });
  });
  return { stream, ended };
}

/** A Connect stream over HTTP/1.1. @returns all its bytes; rejects when it was cut short */
async function callConnect(url: string, authorization: string): Promise<Buffer> {
  const headers = { authorization, 'content-type': 'application/connect+proto', 'connect-protocol-version': '1' };
  const request = httpRequest(url, { method: 'POST', headers });
  request.end(envelope({ text: 'tick', count: 1000, intervalMs: 20 }));
  const [response]: IncomingMessage[] = await once(request, 'response');
  const parts: Buffer[] = [];
  for await (const part of response ?? []) parts.push(part);
  return Buffer.concat(parts);
}

function envelopesIn(bytes: Buffer): { flags: number; payload: Buffer }[] {
  const envelopes: { flags: number; payload: Buffer }[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    envelopes.push({ flags: bytes.readUInt8(at), payload: bytes.subarray(at + 5, end) });
    at = end;
  }
  return envelopes;
}

function envelope(init: MessageInitShape<typeof EchoRequestSchema>): Buffer {
  const message = toBinary(EchoRequestSchema, create(EchoRequestSchema, init));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Resolves when something is over, however it ended. */
function closed(one: NodeJS.EventEmitter): Promise<unknown> {
  one.on('error', () => undefined); // told by 'close' as well
  return new Promise((resolve) => {
    one.once('close', resolve);
  });
}

/**
 * Keeps every thread that Node looks up names with busy: opening a pipe for reading waits for somebody who writes.
 *
 * @returns lets them go
 */
function holdThreads(folder: string): () => Promise<void> {
  const pipe = `${folder}/pipe`;
  execFileSync('mkfifo', [pipe]);
  const readers = Array.from({ length: 64 }, () => open(pipe, 'r'));
  return async () => {
    const writer = openSync(pipe, 'r+');
    for (const reader of readers) await (await reader).close();
    closeSync(writer);
  };
}

/** Asks until the port is open: again as soon as it was refused, 10,000 times at most. */
async function untilAnswered(url: string): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(url);
    } catch (cause) {
      // Not open yet.
      if (attempt === 10_000 || Object(cause).code !== 'ECONNREFUSED') throw cause;
    }
  }
}

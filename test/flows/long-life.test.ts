import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { before, describe, it } from 'node:test';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { openSession } from '../server/http2-client.ts';
import { connectRaw } from '../server/raw-connection.ts';
import { connectFrames, plainGet, requestFrame } from '../server/raw-http2.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

/** Every limit on silence at its least: a stream that outlives all of them several times over would live for hours. */
const impatient = Object.fromEntries(
  ['firstByte', 'headers', 'idle', 'bodyIdle', 'pingInterval', 'pingTimeout', 'tcpKeepAlive'].map((name) => [
    `server.limits.${name}`,
    '1s',
  ]),
);
impatient['server.limits.pingTimeout'] = '2s';
const seconds = 4;

describe('what is open and silent', { timeout: 60_000 }, () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  const held: { http1: ServerResponse[]; http2: ServerHttp2Stream[]; upgraded: Duplex[] } = {
    http1: [],
    http2: [],
    upgraded: [],
  };
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    upstream.script({
      kind: 'by-hand',
      http1: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('begun');
        held.http1.push(response);
      },
      http2: (stream) => {
        stream.on('error', () => undefined);
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.write('begun');
        held.http2.push(stream);
      },
      upgrade: (_request, socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbegun');
        held.upgraded.push(socket);
      },
    });
    const route = { upstream: 'control-plane', access: 'public' };
    rig = await startFakeRig({
      upstream: upstream.url,
      settings: { ...impatient, routes: [{ ...route, path: '/' }] },
    });
  });

  it('lives on after every limit on silence: a call, server-sent events, a WebSocket', async () => {
    const session = openSession(rig.port);
    const call = session.request({ ':method': 'POST', ':path': '/s/Watch', 'content-type': 'application/grpc' });
    call.end('question');
    // Both of its sides may pause.
    const bidi = session.request({ ':method': 'POST', ':path': '/s/Talk', 'content-type': 'application/grpc' });
    bidi.write('question');
    const request = httpRequest(`${rig.url}/events`, { agent: false });
    request.end();
    const [events]: IncomingMessage[] = await once(request, 'response');
    assert.ok(events);
    const socket = await connectRaw({ host: '127.0.0.1', port: rig.port });
    socket.send('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await Promise.all([once(call, 'data'), once(bidi, 'data'), once(events, 'data'), socket.until('begun')]);
    // One a second, and answered: that is the clock here.
    for (let pings = 0; pings < seconds; pings++) await once(session, 'ping');

    const arrived = [call, bidi, events].map(async (stream) => String((await once(stream, 'data'))[0]));
    for (const stream of [...held.http2, ...held.http1, ...held.upgraded]) stream.write('still here');
    assert.deepEqual(await Promise.all(arrived), ['still here', 'still here', 'still here']);
    await socket.until('still here');
    for (const stream of [call, bidi]) stream.close();
    request.destroy();
    socket.socket.destroy();
  });

  it('ends with a caller that vanished without a word, and the service’s stream is cancelled', async () => {
    const caller = await connectFrames({ host: '127.0.0.1', port: rig.port });
    const arrived = upstream.next();
    const fields = [...plainGet, ['content-type', 'application/grpc']] as const;
    caller.send(requestFrame(1, fields));
    const { closed } = await arrived;
    // From here on it answers nothing, no PING either.
    await closed;
    await caller.ended();
    assert.equal(held.http2.at(-1)?.rstCode, 8);
    const lost = rig.log.of('connection.lost');
    assert.equal(lost.length, 1);
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, createSecureServer } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import type { Upstream } from '../../src/config/config.ts';
import { createForward } from '../../src/forward/forward.ts';
import { namedCertificate, testCertificate } from '../server/test-certificate.ts';
import { endless, type Front, listen, startFront, talk, usualTimes } from './front.ts';

const folder = mkdtempSync(join(tmpdir(), 'flytegate-tls-'));
const caFile = join(folder, 'ca.pem');
writeFileSync(caFile, testCertificate.cert);

const closers: (() => Promise<void> | void)[] = [() => rmSync(folder, { recursive: true })];
after(async () => {
  for (const close of closers.reverse()) await close();
});

async function front(upstream: Partial<Upstream> & { port: number }): Promise<Front> {
  const started = await startFront({ upstream: { protocol: 'https', caFile, ...upstream } });
  closers.push(started.close);
  return started;
}

/** An upstream over TLS that speaks HTTP/1.1 only, and WebSocket. */
async function startHttps(): Promise<{ port: number; names: (string | false | null | undefined)[] }> {
  const names: (string | false | null | undefined)[] = [];
  const server = createHttps(testCertificate, (request, response) => response.end(`hello ${request.headers.host}`));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => socket.on('message', (message) => socket.send(String(message))));
  server.on('secureConnection', (socket: TLSSocket) => names.push(socket.servername));
  const port = await listen(server);
  closers.push(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
    server.closeAllConnections();
  });
  return { port, names };
}

const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

describe('an upstream over TLS', () => {
  it('proves to be what the settings name, whatever Host the caller sent', async () => {
    const upstream = await startHttps();
    const door = await front({ port: upstream.port });
    for (const host of ['h.example', 'other.example', '127.0.0.1']) {
      assert.match(await talk(door.http1Port, get(host)), new RegExp(`hello ${host}$`));
    }
    assert.ok(!upstream.names.some((name) => name), `asked for ${upstream.names}`);
  });

  it('that nothing vouches for is unreachable', async () => {
    const { port } = await startHttps();
    const started = await startFront({ upstream: { protocol: 'https', port } });
    closers.push(started.close);
    assert.match(await talk(started.http1Port, get('h')), /upstream_unreachable$/);
    const webSocket = new WebSocket(`ws://127.0.0.1:${started.http1Port}/`);
    const [error] = await once(webSocket, 'error');
    assert.match(String(error), /502/);
  });

  it('upgrades connections', async () => {
    const { port } = await startHttps();
    const door = await front({ port });
    const webSocket = new WebSocket(`ws://127.0.0.1:${door.http1Port}/`);
    await once(webSocket, 'open');
    webSocket.send('hi');
    assert.equal(String((await once(webSocket, 'message'))[0]), 'hi');
    webSocket.close();
    await once(webSocket, 'close');
  });

  it('is spoken to in HTTP/2 for gRPC, and where the settings say h2', async () => {
    const server = createSecureServer({ ...testCertificate, allowHTTP1: true });
    server.on('stream', (stream) => {
      stream.respond({ ':status': 200 });
      stream.end('two');
    });
    const sessions: { destroy(): void }[] = [];
    server.on('session', (session) => sessions.push(session));
    const port = await listen(server);
    closers.push(() => {
      server.close();
      for (const session of sessions) session.destroy();
    });
    const door = await front({ port });
    const session = connectHttp2(`http://127.0.0.1:${door.http2Port}`);
    closers.push(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-type': 'application/grpc' });
    stream.end();
    assert.equal(String((await once(stream, 'data'))[0]), 'two');
    const always = await front({ port, protocol: 'h2' });
    assert.match(await talk(always.http1Port, get('h')), /\r\n3\r\ntwo\r\n0\r\n\r\n$/);
  });

  it('that does not speak HTTP/2 where it must is unreachable', async () => {
    const { port } = await startHttps();
    const door = await front({ port, protocol: 'h2' });
    assert.match(await talk(door.http1Port, get('h')), /upstream_unreachable$/);
  });

  it('is known by serverName, which the caller cannot choose, whatever its address', async () => {
    const asked: unknown[] = [];
    const server = createHttps(namedCertificate, (request, response) => response.end(`hello ${request.headers.host}`));
    server.on('secureConnection', (socket: TLSSocket) => asked.push(socket.servername));
    const port = await listen(server);
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const namedCa = join(folder, 'named.pem');
    writeFileSync(namedCa, namedCertificate.cert);
    const known = await front({ port, caFile: namedCa, serverName: 'svc.internal' });
    for (const host of ['h.example', 'other.example'])
      assert.match(await talk(known.http1Port, get(host)), new RegExp(`hello ${host}$`));
    assert.deepEqual(new Set(asked), new Set(['svc.internal']));
    const unknown = await front({ port, caFile: namedCa });
    assert.match(await talk(unknown.http1Port, get('svc.internal')), /upstream_unreachable$/);
    // A name that is looked up is what the certificate must say, not the address that was found.
    const byName = { targets: [{ host: 'svc.internal', port }], protocol: 'https', caFile: namedCa } as const;
    const found = await startFront({ upstream: byName, lookup: async () => ['127.0.0.1'] });
    closers.push(found.close);
    assert.match(await talk(found.http1Port, get('any.example')), /hello any.example$/);
  });

  it('sees the certificate of its own settings, and no other upstream does', async () => {
    const server = createHttps(
      { ...testCertificate, requestCert: true, rejectUnauthorized: false, ca: namedCertificate.cert },
      (request, response) => {
        const { authorized } = request.socket as TLSSocket;
        response.end(authorized ? 'known' : 'unknown');
      },
    );
    const port = await listen(server);
    closers.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const certFile = join(folder, 'client.crt');
    const keyFile = join(folder, 'client.key');
    writeFileSync(certFile, namedCertificate.cert);
    writeFileSync(keyFile, namedCertificate.key);
    const proving = await front({ port, clientCertificate: { certFile, keyFile } });
    const plain = await front({ port });
    for (let i = 0; i < 3; i += 1) {
      assert.match(await talk(proving.http1Port, get('h')), /\nknown$/);
      assert.match(await talk(plain.http1Port, get('h')), /\nunknown$/);
    }
    const wrong = { certFile, keyFile: join(folder, 'wrong.key') };
    writeFileSync(wrong.keyFile, testCertificate.key);
    await assert.rejects(front({ port, clientCertificate: wrong }), { code: 'config_invalid' });
  });

  it('with a CA file that cannot be read stops the start', () => {
    const setting: Upstream = {
      name: 'up',
      protocol: 'https',
      targets: [{ host: '127.0.0.1', port: 1 }],
      ...usualTimes,
      identityHeaders: [],
      upstreamAuthorization: 'verified',
      connectTimeoutMs: 1,
      headersTimeoutMs: 1,
      caFile: join(folder, 'absent.pem'),
    };
    const nothing = () => undefined;
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
    const metrics = {
      upstream: nothing,
      watchUpstream: nothing,
      redisFailure: nothing,
      watchRedis: nothing,
      request: nothing,
      decision: nothing,
      signIn: nothing,
      signOut: nothing,
      backchannelLogout: nothing,
      streamsEnded: nothing,
      renewal: nothing,
      apiKey: nothing,
      introspection: nothing,
    };
    const page = () => Promise.resolve({ contentType: '', body: '' });
    const never = () => false;
    const limits = { streamWindow: 262_144, upgradeIdleMs: 0, bodyIdleMs: 60_000 };
    const upstreams = { up: setting };
    const judges = { isIdentityHeader: never, isOurCookie: never, flyteHeaders: [] };
    const needs = { upstreams, ...judges, limits, underWay: endless(), log };
    assert.throws(() => createForward({ ...needs, metrics: { ...metrics, page } }), {
      code: 'config_invalid',
      message: /absent\.pem/,
    });
  });
});

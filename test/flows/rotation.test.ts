import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { Agent, createServer, request as requestTls, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { makeKeyPair } from '../../src/config/keygen.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createReload } from '../../src/reload.ts';
import { blockKey, hashKey } from '../config/settings-folder.ts';
import { nextCertificate, testCertificate } from '../server/test-certificate.ts';
import { changeSettings } from './change-settings.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

/** Of each kind, under way at any time. */
const AT_ONCE = 2;
const DAY_S = 86_400;
/** Access tokens live five minutes: now sessions are due. */
const UNTIL_DUE_MS = 4.6 * 60_000;
const ca = [testCertificate.cert, nextCertificate.cert];

describe('Under a steady load of sessions and bearers over TLS', { timeout: 120_000 }, () => {
  let rig: FakeRig;
  let upstream: Server;
  let load: Load;
  let reloads = 0;
  before(async () => {
    upstream = await startUpstream();
    rig = await startTlsRig(upstream);
    load = await startLoad(rig);
    await load.more();
  });

  /** Writes files as an operator would, one after the other; the gateway notices by itself. */
  const write = async (files: Readonly<Record<string, string>>) => {
    for (const [path, content] of Object.entries(files)) await writeFile(join(rig.settings.folder, path), content);
    reloads += 1;
    await rig.log.until(() => rig.log.of('config.reloaded').length >= reloads);
    await load.more();
  };
  const renewAll = async () => {
    const before = rig.log.of('renewal.finished').length;
    rig.move(UNTIL_DUE_MS);
    await load.more();
    assert.deepEqual(rig.log.of('renewal.failed'), []);
    assert.equal(rig.log.of('renewal.finished').length - before, load.sessions);
  };

  it('cookie keys are rotated: a new one is put first, and when every cookie is sealed with it the old one goes', async () => {
    const { cookie_hash_key: hash, cookie_block_key: block } = makeKeyPair();
    await write({
      'secrets/cookie_hash_key': `${hash}\n${hashKey}\n`,
      'secrets/cookie_block_key': `${block}\n${blockKey}\n`,
    });
    await renewAll();
    await write({ 'secrets/cookie_hash_key': `${hash}\n`, 'secrets/cookie_block_key': `${block}\n` });
    load.assertNoneFailed();
  });

  it('the client secret is rotated, whichever side changes first', async () => {
    const { behaviour } = rig.provider;
    behaviour.clients = { web: 'the client secret' };
    await write({ 'secrets/oidc_client_secret': 'the next secret\nthe client secret\n' });
    await renewAll();
    behaviour.clients = { web: 'the next secret' };
    await renewAll();
    await write({ 'secrets/oidc_client_secret': 'the next secret\n' });
    await renewAll();
    load.assertNoneFailed();
  });

  it('the TLS certificate is replaced, and new connections are shown the new one', async () => {
    assert.equal(await subjectKeyOf(rig.port), keyOf(testCertificate.cert));
    await write({ 'tls/tls.crt': nextCertificate.cert, 'tls/tls.key': nextCertificate.key });
    assert.equal(await subjectKeyOf(rig.port), keyOf(nextCertificate.cert));
    load.assertNoneFailed();
  });

  it('the CA of an upstream is replaced, and its certificate', async () => {
    await write({ 'tls/ca.pem': ca.join('\n') });
    upstream.setSecureContext(nextCertificate);
    await write({ 'tls/ca.pem': nextCertificate.cert });
    load.assertNoneFailed();
  });

  it('routes are changed', async () => {
    assert.equal((await ask(rig.port, '/open/x', {}, { agent: false })).status, 302);
    await changeSettings(rig.settings.file, (document) =>
      document.addIn(['routes'], { path: '/open', upstream: 'control-plane', access: 'public' }),
    );
    await write({});
    assert.equal((await ask(rig.port, '/open/x', {}, { agent: false })).status, 200);
    load.assertNoneFailed();
  });

  it('and after all of it nobody was signed out', async () => {
    await load.stop();
    load.assertNoneFailed();
    assert.equal(rig.provider.calls.authorize, load.sessions);
    assert.deepEqual(rig.log.of('me.refused'), []);
    assert.deepEqual(rig.log.of('config.refused'), []);
  });
});

interface Load {
  readonly sessions: number;
  /** Resolves when every kind of request was answered twenty more times. */
  more(): Promise<void>;
  assertNoneFailed(): void;
  stop(): Promise<void>;
}

async function startUpstream(): Promise<Server> {
  const server = createServer(testCertificate, (_request, response) => response.end('it is me'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  return server;
}

/** People sign in without TLS, as their browser here believes no certificate; then the same gateway speaks TLS. */
async function startTlsRig(upstream: Server): Promise<FakeRig> {
  const { port } = upstream.address() as AddressInfo;
  const rig = await startFakeRig({
    upstream: `https://127.0.0.1:${port}`,
    settings: {
      'server.drain': '5s',
      'server.reloadInterval': '20ms',
      'upstreams.control-plane.caFile': 'tls/ca.pem',
      'auth.userAuth.openId.scopes': ['openid', 'offline_access'],
    },
    files: {
      'tls/ca.pem': testCertificate.cert,
      'tls/tls.crt': testCertificate.cert,
      'tls/tls.key': testCertificate.key,
    },
  });
  return rig;
}

async function startLoad(rig: FakeRig): Promise<Load> {
  const people = await Promise.all(Array.from({ length: 2 * AT_ONCE }, () => rig.signIn()));
  await changeSettings(rig.settings.file, (document) =>
    document.setIn(['server', 'tls'], { certFile: 'tls/tls.crt', keyFile: 'tls/tls.key' }),
  );
  await rig.restart();
  watch(rig, await loadConfig(rig.settings.file));
  const exp = Math.floor(Date.now() / 1000) + DAY_S;
  const authorization = `Bearer ${await rig.provider.accessToken({ exp })}`;
  const kept = new Agent({ keepAlive: true, ca });
  const http2 = connectHttp2(`https://127.0.0.1:${rig.port}`, { ca });
  endLater(async () => {
    kept.destroy();
    http2.destroy();
  });
  const bearer = { authorization };
  const asHttp2 = { ':authority': `127.0.0.1:${rig.port}`, ...bearer };
  const kinds = [
    ...people.slice(0, AT_ONCE).map(({ cookie }) => withCookie(rig.port, '/me', { cookie, agent: false })),
    ...people.slice(AT_ONCE).map(({ cookie }) => withCookie(rig.port, '/api/it', { cookie, agent: kept })),
    async () => (await ask(rig.port, '/api/it', bearer, { agent: kept })).status,
    async () => (await ask(rig.port, '/me', bearer, { agent: false })).status,
    () => askHttp2(http2, { ':path': '/api/it', ...asHttp2 }),
  ];
  return { ...runLoad(kinds), sessions: people.length };
}

function watch(rig: FakeRig, { files }: Awaited<ReturnType<typeof loadConfig>>): void {
  const load = () => loadConfig(rig.settings.file);
  const reload = createReload({ load, takeOver: (load) => rig.gateway().reload(load), files, intervalMs: 20 });
  endLater(reload.stop);
}

function runLoad(kinds: readonly (() => Promise<number>)[]): Omit<Load, 'sessions'> {
  const failures = new Set<string>();
  const done = kinds.map(() => 0);
  const ticks = new EventEmitter().setMaxListeners(0);
  let isOver = false;
  const loops = kinds.map(async (send, kind) => {
    while (!isOver) {
      const status = await send().catch((cause: unknown) => `${String(cause)} ${Object(cause).code ?? ''}`);
      if (status !== 200) failures.add(`kind ${kind}: ${status}`);
      done[kind] = (done[kind] ?? 0) + 1;
      ticks.emit('done');
    }
  });
  const stop = async () => {
    isOver = true;
    await Promise.all(loops);
  };
  endLater(stop);
  return {
    more: async () => {
      const goal = done.map((count) => count + 20);
      while (done.some((count, kind) => count < (goal[kind] ?? 0))) await once(ticks, 'done');
    },
    assertNoneFailed: () => assert.deepEqual([...failures].slice(0, 5), []),
    stop,
  };
}

/** Somebody who keeps the newest cookie, as browsers do. */
function withCookie(port: number, path: string, start: { cookie: string; agent: Agent | false }) {
  let { cookie } = start;
  return async () => {
    const { status, setCookie } = await ask(port, path, { cookie }, { agent: start.agent });
    if (setCookie !== undefined) cookie = setCookie;
    return status;
  };
}

interface Answered {
  readonly status: number;
  readonly setCookie: string | undefined;
}

function ask(
  port: number,
  path: string,
  fields: Readonly<Record<string, string>>,
  { agent }: { agent: Agent | false },
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const headers = { host: `127.0.0.1:${port}`, 'sec-fetch-mode': 'navigate', ...fields };
    const sent = requestTls({ host: '127.0.0.1', port, path, headers, agent, ca }, (answer) => {
      answer.resume();
      const [setCookie] = answer.headers['set-cookie']?.[0]?.split(';') ?? [];
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, setCookie }));
      answer.once('error', reject);
    });
    sent.once('error', reject);
    sent.end();
  });
}

function askHttp2(session: ReturnType<typeof connectHttp2>, fields: Readonly<Record<string, string>>): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request(fields);
    let status = 0;
    stream.once('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.once('error', reject);
    stream.once('close', () => resolve(status));
    stream.resume();
  });
}

/** The public key that a new connection is shown. */
async function subjectKeyOf(port: number): Promise<string> {
  const socket: TLSSocket = connectTls({ host: '127.0.0.1', port, ca });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return raw.toString('base64').slice(0, 60);
}

function keyOf(pem: string): string {
  return pem.replaceAll(/-----[A-Z ]+-----|\s/g, '').slice(0, 60);
}

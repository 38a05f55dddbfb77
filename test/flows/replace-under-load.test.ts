import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setInterval } from 'node:timers/promises';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { parseDocument } from 'yaml';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { type Balanced, startHaproxy } from '../fakes/haproxy.ts';
import { freePort, startNginx } from '../fakes/nginx.ts';
import { requireProgram } from '../programs.ts';
import { ask } from './ask.ts';
import { type Child, startChild } from './child.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const haproxy = requireProgram('haproxy');
const nginx = requireProgram('nginx');

const unary = `/${EchoService.typeName}/Unary`;
/** Requests of each kind that are under way at any time. */
const AT_ONCE = 4;

describe('Two gateways behind HAProxy, which asks /readyz', { skip: haproxy.skip, timeout: 110_000 }, () => {
  let front: Front;
  before(async () => {
    const [port, grpcPort] = [await freePort(), await freePort()];
    front = await startGateways(port);
    endLater(await startHaproxy({ path: haproxy.path, port, grpcPort, servers: front.servers }));
    front.load.push(...httpLoad(front), grpcLoad(grpcPort, front.authorization));
    front.paths.push(unary);
  });

  it('are replaced one after the other under load, and no request fails: /me, what is forwarded, and gRPC', () =>
    replaceAll(front));
});

describe('Two gateways behind nginx, which asks nobody and tries the next one', {
  skip: nginx.skip,
  timeout: 110_000,
}, () => {
  let front: Front;
  before(async () => {
    const port = await freePort();
    front = await startGateways(port);
    const servers = front.servers.map((one) => `server 127.0.0.1:${one.port} fail_timeout=1s;`).join(' ');
    const site = `upstream gateways { ${servers} keepalive 16; }
server { listen 8000; location / {
  proxy_pass http://gateways; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
} }`;
    const started = await startNginx({ path: nginx.path, gateway: 0, upstream: 0, port, site });
    endLater(started.stop);
    front.load.push(...httpLoad(front));
  });

  it('are replaced one after the other under load, and no request that may be tried again fails', () =>
    replaceAll(front));
});

describe('Two gateways behind nginx, grpc_pass, reloaded as their /readyz says', {
  skip: nginx.skip,
  timeout: 110_000,
}, () => {
  let front: Front;
  before(async () => {
    const port = await freePort();
    // Nothing is tried twice: what fails at one of them has failed.
    front = await startGateways(port, '3s');
    const site = (servers: readonly Balanced[]) => `upstream gateways {
  ${servers.map((one) => `server 127.0.0.1:${one.port} max_fails=0;`).join(' ')} keepalive 16;
}
server { listen 8000; return 404; }
server { listen 8001 http2; location / {
  grpc_pass grpc://gateways; grpc_next_upstream off; grpc_set_header Host $http_host;
} }`;
    const started = await startNginx({ path: nginx.path, gateway: 0, upstream: 0, port, site: site(front.servers) });
    endLater(started.stop);
    endLater(follow(front.servers, (ready) => started.reload(site(ready))));
    front.load.push(grpcLoad(Number(new URL(started.grpcUrl).port), front.authorization));
    front.paths.splice(0, 1, unary);
  });

  it('are replaced one after the other under load, and no gRPC call fails', () => replaceAll(front));
});

/** Does what an ingress controller does: asks `/readyz` every 100 ms, and tells of those that are ready when they change. */
function follow(servers: readonly Balanced[], onChange: (ready: readonly Balanced[]) => Promise<void>) {
  const over = new AbortController();
  const isReady = async ({ admin }: Balanced) => {
    const answer = await ask(`http://127.0.0.1:${admin}/readyz`).catch(() => undefined);
    return answer?.status === 200;
  };
  const run = async () => {
    let before = servers.length;
    for await (const _ of setInterval(100, undefined, { signal: over.signal })) {
      const states = await Promise.all(servers.map(isReady));
      const ready = servers.filter((_, n) => states[n]);
      // One at a time is replaced.
      if (ready.length !== before) await onChange(ready);
      before = ready.length;
    }
  };
  const running = run().catch((cause: unknown) => assert.ok(over.signal.aborted, String(cause)));
  return async () => {
    over.abort();
    await running;
  };
}

/** The gateways, and what asks them all the time. */
interface Front {
  readonly url: string;
  readonly authorization: string;
  readonly servers: readonly Balanced[];
  readonly settings: readonly string[];
  readonly children: Child[];
  readonly load: Load[];
  /** Of forwarded requests, as they stand in the log. */
  readonly paths: string[];
}

/** @throws what a caller would call a failed request */
type Load = () => Promise<void>;

async function startGateways(port: number, drainDelay = '1s'): Promise<Front> {
  const rig = await startFakeRig({ publicUrl: `http://localhost:${port}` });
  // Its provider, control plane and settings are what is wanted.
  await rig.stop();
  const servers = await Promise.all([place(), place()]);
  const settings = await Promise.all(servers.map((server, n) => settingsFor(rig, server, { n, drainDelay })));
  const children = await Promise.all(settings.map((settings) => startChild(settings)));
  const authorization = `Bearer ${await rig.provider.accessToken()}`;
  return { url: rig.url, authorization, servers, settings, children, load: [], paths: ['/api/v1/projects'] };
}

async function place(): Promise<Balanced> {
  return { port: await freePort(), admin: await freePort() };
}

async function settingsFor(
  rig: FakeRig,
  { port, admin }: Balanced,
  { n, drainDelay }: { n: number; drainDelay: string },
): Promise<string> {
  const document = parseDocument(await readFile(rig.settings.file, 'utf8'));
  document.setIn(['server', 'listen'], `127.0.0.1:${port}`);
  document.setIn(['server', 'admin'], `127.0.0.1:${admin}`);
  document.setIn(['server', 'drain'], '5s');
  document.setIn(['server', 'drainDelay'], drainDelay);
  const file = join(rig.settings.folder, `gateway-${n}.yaml`);
  await writeFile(file, document.toString());
  return file;
}

function httpLoad({ url, authorization }: Front): Load[] {
  return ['/me', '/api/v1/projects'].map((target) => async () => {
    const { status } = await ask(url + target, { fields: { authorization } });
    assert.equal(status, 200, target);
  });
}

function grpcLoad(port: number, authorization: string): Load {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  endLater(async () => client.close());
  const metadata = new Metadata();
  metadata.set('authorization', authorization);
  const same = (raw: Buffer) => raw;
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(unary, same, same, Buffer.alloc(0), metadata, (error) =>
        error ? reject(error) : resolve(),
      );
    });
}

/** Replaces each gateway by a new process on the same port while all kinds of requests go on. */
async function replaceAll(front: Front): Promise<void> {
  const failures: string[] = [];
  const done = front.load.map(() => 0);
  const ticks = new EventEmitter();
  let isOver = false;
  const workers = front.load.flatMap((load, kind) =>
    Array.from({ length: AT_ONCE }, async () => {
      while (!isOver) {
        await load().catch((cause: unknown) => failures.push(`${String(cause)} ${Object(cause).code ?? ''}`));
        done[kind] = (done[kind] ?? 0) + 1;
        ticks.emit('done');
      }
    }),
  );
  const more = async () => {
    const goal = done.map((count) => count + 100);
    while (done.some((count, kind) => count < (goal[kind] ?? 0))) await once(ticks, 'done');
  };
  try {
    await more();
    for (const [n, settings] of front.settings.entries()) {
      const old = front.children[n];
      old?.kill('SIGTERM');
      assert.equal(await old?.ended, 0);
      await more();
      const next = await startChild(settings);
      front.children[n] = next;
      // The balancer has to find it first, for each kind of requests by itself.
      while (!front.paths.every((path) => next.log().includes(`"path":"${path}"`))) await more();
    }
  } finally {
    isOver = true;
    await Promise.all(workers);
  }
  assert.deepEqual(failures, []);
}

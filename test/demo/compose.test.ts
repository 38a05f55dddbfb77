import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { request } from 'undici';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { createBrowser } from '../fakes/browser.ts';
import { freePort, type Nginx, startNginx } from '../fakes/nginx.ts';
import { startProgram } from '../fakes/program.ts';
import { requireProgram } from '../programs.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '../..');

interface Service {
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly network_mode?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
}

const compose: { services: Record<string, Service> } = parse(readFileSync(join(root, 'docker-compose.yml'), 'utf8'));
const { services } = compose;

describe('docker-compose.yml', () => {
  it('puts everything into the network namespace of the gateway, published on loopback only', () => {
    for (const [name, { network_mode: mode, ports = [] }] of Object.entries(services)) {
      if (name === 'gateway') assert.equal(mode, undefined);
      else assert.ok(mode === 'service:gateway' || mode === 'none', name);
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/);
    }
  });

  it('mounts files that exist', () => {
    const files = Object.values(services).flatMap(({ volumes = [] }) => volumes.filter((one) => one.startsWith('./')));
    assert.equal(files.length, 2);
    for (const file of files) assert.ok(existsSync(join(root, file.split(':')[0] ?? '')), file);
  });

  it('starts what the build makes', () => {
    for (const { entrypoint } of Object.values(services)) {
      const script = entrypoint?.[1]?.replace(/^dist(.*)\.js$/, 'src$1.ts');
      if (script !== undefined) assert.ok(existsSync(join(root, script)), script);
    }
  });
});

const nginx = requireProgram('nginx');

describe("docker-compose.yml's services as plain processes", { skip: nginx.skip }, () => {
  const undo: (() => Promise<unknown>)[] = [];
  const ports = new Map<string, number>();
  let front: Nginx;
  let folder: string;
  let password: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'flytegate-compose-'));
    undo.push(() => rm(folder, { recursive: true }));
    for (const port of ['8000', '8001', '8080', '4000', '8090', '9090']) ports.set(port, await freePort());
    await start('secrets', /^$/);
    const provider = await start('provider', /sign in as zoe .*\n/);
    password = /sign in as ada \/ (\S+)/.exec(provider)?.[1] ?? '';
    await start('control-plane', /listens on/);
    await start('gateway', /listens on/);
    front = await startNginx({ path: nginx.path, gateway: at('8080'), upstream: at('8090'), port: at('8000') });
    undo.push(front.stop);
  });
  after(async () => {
    for (const one of undo.reverse()) await one();
  });

  const at = (port: string) => ports.get(port) ?? 0;
  const local = (text: string) =>
    text.replace(/\b(8000|8001|8080|4000|8090|9090)\b/g, (port) => String(at(port))).replaceAll('/etc/secrets', folder);

  /** Runs a service's own command, with ports and folders of this machine. @returns what it wrote until it was ready */
  async function start(name: string, ready: RegExp): Promise<string> {
    const { entrypoint = [], command = [] } = services[name] ?? {};
    const script = entrypoint[1]?.replace(/^dist(.*)\.js$/, 'src$1.ts') ?? 'src/cli.ts';
    const args: string[] = [];
    for (const arg of command) args.push(arg === '/etc/flytegate/gateway.yaml' ? await settings() : local(arg));
    if (ready.source === '^$')
      return (await run(process.execPath, ['--import', 'tsx', script, ...args], { cwd: root })).stdout;
    const program = await startProgram(script, args, ready);
    undo.push(program.stop);
    return program.output();
  }

  async function settings(): Promise<string> {
    const file = join(folder, 'gateway.yaml');
    await writeFile(file, local(await readFile(join(root, 'config/compose/gateway.yaml'), 'utf8')));
    return file;
  }

  async function serviceToken(): Promise<string> {
    const secret = await readFile(join(folder, 'service_client_secret'), 'utf8');
    const authorization = `Basic ${Buffer.from(`flyte-service:${secret}`).toString('base64')}`;
    const response = await fetch(`http://localhost:${at('4000')}/token`, {
      method: 'POST',
      headers: { authorization },
      body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'all' }),
    });
    return JSON.parse(await response.text()).access_token;
  }

  it('signs a person in through nginx, back to the very page, and out again', async () => {
    const browser = createBrowser();
    const login = await browser.open(`${front.url}/console?a=b%20c&d=/e`);
    assert.equal(login.url.origin, `http://localhost:${at('4000')}`);
    const page = await browser.submit(login, { user: 'ada', password });
    assert.equal(page.url.href, `${front.url}/console?a=b%20c&d=/e`);
    assert.match(page.text, /Demo control plane/);
    const who = JSON.parse((await browser.open(`${front.url}/api/v1/whoami`)).text);
    assert.deepEqual(who.identity, {
      'x-auth-request-user': 'ada',
      'x-auth-request-email': 'ada@example.com',
      'x-auth-request-groups': 'platform,ml-research',
      'x-auth-request-preferred-username': 'ada',
      'x-user-subject': 'ada',
    });
    assert.doesNotMatch(JSON.stringify(who.headers), /__Host-flytegate=/);
    const stolen = browser.cookiesFor(front.url);
    await browser.submit(await browser.open(`${front.url}/logout`), { logout: 'yes' });
    assert.equal((await ask('/api/v1/whoami', { cookie: stolen })).status, 401);
  });

  it('answers 401 with one challenge to what is no navigation', async () => {
    for (const fields of [{}, { 'sec-fetch-mode': 'cors' }, { accept: 'application/json' }]) {
      const { status, headers, text } = await ask('/api/v1/whoami', fields);
      assert.equal(status, 401);
      assert.match(String(headers['www-authenticate']), /^Bearer [^,]*$/);
      assert.equal(headers['set-cookie'], undefined);
      assert.equal(JSON.parse(text).code, 'unauthenticated');
    }
  });

  it('lets no stranger in by a protocol or a host that the check could be confused with', async () => {
    const hosts = [new URL(front.url).host, 'evil.test', `localhost:${at('8080')}`, 'x'];
    const types = ['application/grpc', 'application/grpc-web', 'application/connect+json', 'application/json'];
    for (const host of hosts)
      for (const type of types) {
        const fields = {
          host,
          'content-type': type,
          'x-forwarded-host': host,
          te: 'trailers',
          'connect-protocol-version': '1',
        };
        assert.equal((await ask('/api/v1/whoami', fields)).status, 401, `${host} ${type}`);
      }
  });

  it('sends people to sign in at its own address, whatever host they name', async () => {
    const { status, headers } = await ask('/console', { host: 'evil.test', 'sec-fetch-mode': 'navigate' });
    assert.equal(status, 302);
    const to = new URL(String(headers['location']));
    assert.equal(to.searchParams.get('redirect_uri'), `${front.url}/callback`);
  });

  it('lets the service app through by its bearer, and hands no stranger\u2019s word to the backend', async () => {
    const who = await ask('/api/v1/whoami', {
      'flyte-authorization': `Bearer ${await serviceToken()}`,
      authorization: 'Basic eDp5',
      'x-auth-request-user': 'root',
      'x-auth-request-email': 'root@example.com',
      'x-amzn-oidc-data': 'x.y.z',
      'x-forwarded-user': 'root',
    });
    const { identity, headers } = JSON.parse(who.text);
    assert.deepEqual(identity, { 'x-auth-request-user': 'flyte-service', 'x-user-subject': 'flyte-service' });
    assert.equal(headers.authorization, undefined);
  });

  it('passes gRPC by auth_request and grpc_pass, and refuses it in gRPC\u2019s own words', async () => {
    const client = createClient(EchoService, createGrpcTransport({ baseUrl: front.grpcUrl }));
    await assert.rejects(client.unary({ text: 'hi' }), isCode(Code.Unauthenticated));
    const headers = { 'flyte-authorization': `Bearer ${await serviceToken()}` };
    const { identity } = await client.unary({ text: 'hi' }, { headers });
    assert.equal(identity['x-auth-request-user'], 'flyte-service');
    const numbers: number[] = [];
    for await (const { number } of client.serverStream({ count: 3 }, { headers })) numbers.push(number);
    assert.deepEqual(numbers, [1, 2, 3]);
    await assert.rejects(client.unary({ failWith: 5 }, { headers }), isCode(Code.NotFound));
  });

  it('passes WebSocket', async () => {
    const headers = { 'flyte-authorization': `Bearer ${await serviceToken()}` };
    const socket = new WebSocket(`${front.url.replace('http', 'ws')}/api/v1/echo`, { headers });
    await once(socket, 'open');
    socket.send('hello');
    assert.equal(String((await once(socket, 'message'))[0]), 'hello');
    socket.close();
    await once(socket, 'close');
  });

  it('is itself an authorized address without nginx', async () => {
    const login = await createBrowser().open(`http://localhost:${at('8080')}/console`);
    assert.equal(login.url.origin, `http://localhost:${at('4000')}`);
    assert.equal(login.status, 200);
  });

  async function ask(path: string, headers: Record<string, string>) {
    const response = await request(front.url + path, { headers });
    return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
  }
});

function isCode(code: Code): (error: unknown) => boolean {
  return (error) => ConnectError.from(error).code === code;
}

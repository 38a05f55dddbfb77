import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Client, credentials, status as grpcStatus, Metadata, type ServiceError } from '@grpc/grpc-js';
import {
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
  EchoService,
} from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import type { Nginx } from '../fakes/nginx.ts';
import { requireProgram } from '../programs.ts';
import { ask, type Question } from './ask.ts';
import { startBehindNginx } from './nginx-front.ts';
import { type DemoRig, endLater, type FakeRig, type RigOptions, startDemoRig, startFakeRig } from './rig.ts';

const program = requireProgram('nginx');

describe('behind nginx', { skip: program.skip }, () => {
  let rig: DemoRig;
  let front: Nginx;
  before(async () => {
    ({ rig, front } = await startBehindNginx({ path: program.path, start: startDemoRig }));
  });
  const get = (path: string, fields: Question['fields'] = {}) => ask(front.url + path, { fields });

  it('a person signs in and comes back to the page that was asked for, with its query', async () => {
    const { page, cookie } = await rig.signIn('ada', '/api/v1/whoami?a=1&b=%C3%BC');
    assert.equal(page.url.href, `${front.url}/api/v1/whoami?a=1&b=%C3%BC`);
    const { identity, headers } = JSON.parse(page.text);
    assert.equal(identity['x-auth-request-user'], 'ada');
    assert.equal(identity['x-auth-request-groups'], 'platform,ml-research');
    assert.equal(headers.cookie, undefined, 'the backend sees no session');
    assert.equal((await get('/api/v1/projects', { cookie })).status, 200);
  });

  it('a person signs out through the provider and back', async () => {
    const { browser, cookie } = await rig.signIn();
    const asked = await browser.open(`${front.url}/logout`);
    const done = await browser.submit(asked, { logout: 'yes' });
    assert.match(done.text, /You are signed out/);
    assert.equal((await get('/api/v1/projects', { cookie })).status, 401);
  });

  it('an XHR hears 401 with a challenge, and no cookie', async () => {
    const answer = await get('/api/v1/projects', { 'sec-fetch-mode': 'cors', accept: 'application/json' });
    assert.equal(answer.status, 401);
    assert.match(answer.one('www-authenticate') ?? '', /^Bearer/);
    assert.deepEqual(answer.all('set-cookie'), []);
  });

  it('a service app gets through by its token', async () => {
    const fields = { 'flyte-authorization': `Bearer ${await rig.appToken()}` };
    const answer = await get('/api/v1/whoami', fields);
    assert.equal(Object(answer.json()['identity'])['x-user-subject'], 'flyte-service');
  });

  it('nobody’s own identity headers get through, in any spelling', async () => {
    const { cookie } = await rig.signIn();
    const forged = {
      'X-Auth-Request-User': 'root',
      X_Auth_Request_User: 'root',
      'x-amzn-oidc-data': 'x',
      'X-User-Subject': 'root',
      'x-forwarded-user': 'root',
    };
    const answer = await get('/api/v1/whoami', { cookie, ...forged });
    assert.doesNotMatch(JSON.stringify(answer.json()['identity']), /root/);
    assert.equal(Object(answer.json()['headers'])['x-amzn-oidc-data'], undefined);
    assert.equal((await get('/api/v1/whoami', forged)).status, 401);
  });
});

describe('behind nginx, with sessions that are renewed', { skip: program.skip }, () => {
  it('hands the new cookie to the browser, on whatever the backend answers', async () => {
    const { rig, front } = await startBehindNginx({ path: program.path, start: startFakeRig });
    const { cookie } = await rig.signIn();
    for (const path of ['/api/v1/projects', '/nothing-here']) {
      rig.move(4.6 * 60_000);
      const answer = await ask(front.url + path, { fields: { cookie } });
      const set = answer.one('set-cookie') ?? '';
      assert.match(set, /^__Host-flytegate=eyJ/);
      assert.equal((await ask(`${front.url}/me`, { fields: { cookie: set.split(';')[0] ?? '' } })).status, 200);
    }
  });

  it('says 503, not 500 or a sign-in, when nobody could tell', async () => {
    const { rig, front } = await startBehindNginx({ path: program.path, start: startFakeRig });
    const { cookie } = await rig.signIn();
    await rig.provider.stop();
    rig.move(6 * 60_000);
    const answer = await ask(`${front.url}/api/v1/projects`, { fields: { cookie } });
    await rig.provider.restart();
    assert.equal(answer.status, 503);
    assert.equal(answer.json()['code'], 'unavailable');
  });
});

describe('gRPC behind nginx', { skip: program.skip }, () => {
  let rig: FakeRig;
  let front: Nginx;
  let client: Client;
  before(async () => {
    ({ rig, front } = await startBehindNginx({ path: program.path, start: startFakeRig }));
    client = new Client(new URL(front.grpcUrl).host, credentials.createInsecure(), {
      // The Host by which flytegate knows its public URL.
      'grpc.default_authority': new URL(front.url).host,
    });
    endLater(async () => client.close());
  });

  it('gets through grpc_pass with auth_request', async () => {
    const { identity, hasBearer } = await unary(client, {
      authorization: `Bearer ${await rig.provider.accessToken()}`,
    });
    assert.equal(identity['x-auth-request-user'], 'ada');
    assert.equal(hasBearer, false, 'the example clears it towards backends');
  });

  it('gets through by a session cookie', async () => {
    const { cookie } = await rig.signIn();
    assert.equal((await unary(client, { cookie })).identity['x-auth-request-user'], 'ada');
  });

  it('hears UNAUTHENTICATED and PERMISSION_DENIED', async () => {
    await assert.rejects(unary(client, {}), { code: grpcStatus.UNAUTHENTICATED });
    await assert.rejects(unary(client, { authorization: 'Bearer bad' }), { code: grpcStatus.UNAUTHENTICATED });
    const narrow = await rig.provider.accessToken({ scope: 'openid' });
    await assert.rejects(unary(client, { authorization: `Bearer ${narrow}` }), { code: grpcStatus.PERMISSION_DENIED });
  });
});

describe('nginx with RPC content types in front of a backend', { skip: program.skip }, () => {
  let upstream: EchoUpstream;
  let front: Nginx;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    const start = (options: RigOptions) => startFakeRig({ ...options, upstream: upstream.url });
    ({ front } = await startBehindNginx({ path: program.path, start }));
  });

  for (const type of [
    'grpc',
    'grpc+proto',
    'grpc-web',
    'grpc-web-text',
    'connect+json',
    'connect+proto',
    'proto',
    'json',
  ]) {
    it(`application/${type}: 401, and the backend is never called`, async () => {
      const fields = { 'content-type': `application/${type}`, 'connect-protocol-version': '1', te: 'trailers' };
      for (const path of ['/flytegate.demo.v1.EchoService/Unary', '/me', '/'])
        for (const method of ['GET', 'POST']) {
          const answer = await ask(front.url + path, { method, fields, ...(method === 'POST' && { body: '{}' }) });
          assert.equal(answer.status, 401, `${method} ${path}`);
        }
      assert.deepEqual(upstream.requests, []);
    });
  }
});

function unary(client: Client, fields: Readonly<Record<string, string>>): Promise<EchoResponse> {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(fields)) metadata.set(name, value);
  const { promise, resolve, reject } = Promise.withResolvers<EchoResponse>();
  client.makeUnaryRequest(
    `/${EchoService.typeName}/Unary`,
    (text: string) => Buffer.from(toBinary(EchoRequestSchema, create(EchoRequestSchema, { text }))),
    (bytes: Buffer) => fromBinary(EchoResponseSchema, bytes),
    'hello',
    metadata,
    (error: ServiceError | null, response?: EchoResponse) => (response ? resolve(response) : reject(error)),
  );
  return promise;
}

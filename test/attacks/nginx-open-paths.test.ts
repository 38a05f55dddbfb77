import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { EchoUpstream } from '../fakes/echo-upstream.ts';
import type { Nginx } from '../fakes/nginx.ts';
import { startEchoBehindNginx } from '../flows/nginx-front.ts';
import { callOverHttp2 } from '../flows/nginx-grpc-call.ts';
import type { FakeRig } from '../flows/rig.ts';
import { requireProgram } from '../programs.ts';
import { exchangeRaw, statusesIn } from '../server/raw-connection.ts';

const program = requireProgram('nginx');

/** nginx reads all of these as a path that is open to everyone; a service behind may read them as another one. */
const ambiguous = [
  '/api/v1/x/../../../healthcheck',
  '/api/v1/secret/..%2f..%2f..%2fhealthcheck',
  '/api/v1/secret/..%2F..%2F..%2Fhealthcheck',
  '/api/%2e%2e/healthcheck',
  '/api/%2E./healthcheck',
  '/api/.%2e/healthcheck',
  '/./healthcheck',
  '/%2e/healthcheck',
  '/api//../healthcheck',
  '//healthcheck',
  '/%2fhealthcheck',
  '/console;a/..%2fhealthcheck',
  '/console/..;/healthcheck',
  '/console/..%3b/healthcheck',
  '/api\\..\\..\\healthcheck',
  '/api%5c..%5chealthcheck',
  '/healthcheck#/../api/v1/secret',
  '/api/%252e%252e/healthcheck',
  '/api%252fhealthcheck',
  '/api/..',
  '/api/..?a=1',
  '/api/v1/../../login',
  '/api/..%2fme',
  '/api/../config/v1/flyte_client',
];

describe('a way past nginx through a path that is open to everyone', { skip: program.skip }, () => {
  let rig: FakeRig;
  let front: Nginx;
  let upstream: EchoUpstream;
  before(async () => {
    ({ rig, front, upstream } = await startEchoBehindNginx(program.path));
  });
  /** The status of the answer, and the targets that reached the service. */
  const outcome = async (target: string, fields = '', method = 'GET') => {
    const before = upstream.requests.length;
    const { port } = new URL(front.url);
    const head = `${method} ${target} HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n${fields}\r\n`;
    const [status] = statusesIn(await exchangeRaw({ host: '127.0.0.1', port: Number(port) }, head));
    return { status, arrived: upstream.requests.slice(before) };
  };

  for (const target of ambiguous)
    it(`is refused, and reaches nothing behind: ${target}`, async () => {
      assert.deepEqual(await outcome(target), { status: 400, arrived: [] });
    });

  for (const target of ['/healthcheck', '/%68ealthcheck', '/%68%65althcheck?x=/../../admin'])
    it(`arrives as the path that was matched: ${target}`, async () => {
      const { status, arrived } = await outcome(target);
      assert.equal(status, 200);
      assert.deepEqual(
        arrived.map((one) => one.target),
        [`/healthcheck${target.slice(target.indexOf('?') >>> 0)}`],
      );
    });

  for (const target of ['/%6de', '/%6cogout', '/config/v1/flyte%5fclient'])
    it(`comes to flytegate as the path that was matched: ${target}`, async () => {
      const { status, arrived } = await outcome(target);
      const { status: plain } = await outcome(decodeURIComponent(target));
      assert.deepEqual({ status, arrived }, { status: plain, arrived: [] });
      assert.notEqual(status, 400);
    });

  it('brings nothing along to the health check: no identity, credential, cookie, body, upgrade or other path', async () => {
    const forged =
      'X-Auth-Request-User: root\r\nX-User-Anything: root\r\nX-Amzn-Oidc-Data: root\r\nAuthorization: Bearer root\r\n' +
      'Flyte-Authorization: Bearer root\r\nCookie: a=root\r\nX-Original-URL: /root\r\nX-Rewrite-URL: /root\r\n' +
      'X-Forwarded-Host: root\r\nUpgrade: websocket\r\nX-HTTP-Method-Override: root\r\nContent-Length: 4\r\n\r\nroot';
    const { status, arrived } = await outcome('/healthcheck', forged);
    assert.equal(status, 200);
    const [one] = arrived;
    assert.deepEqual(one?.fields, ['Host', new URL(front.url).host]);
    assert.equal((await one?.body)?.length, 0);
  });

  it('changes nothing at the health check', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      assert.deepEqual(await outcome('/healthcheck', '', method), { status: 403, arrived: [] }, method);
  });

  it('is closed for gRPC: ambiguous paths are refused, and what was matched is what flytegate hears', async () => {
    const authorization = `Bearer ${await rig.provider.accessToken()}`;
    const call = async (path: string) => {
      const before = upstream.requests.length;
      const answer = await callOverHttp2(front.grpcUrl, path, { authorization });
      return { status: answer[':status'], arrived: upstream.requests.slice(before).map((one) => one.target) };
    };
    const open = '/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata';
    for (const path of [`/Admin/x/../..${open}`, `/Admin/..%2f${open.slice(1)}`, `/${open}`])
      assert.deepEqual(await call(path), { status: 400, arrived: [] });
    // flytegate answers what was matched; by the spelling of the caller it would be a service's.
    assert.deepEqual(await call(open.replace('Get', '%47et')), { status: 200, arrived: [] });
  });
});

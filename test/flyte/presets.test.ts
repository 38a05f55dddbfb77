import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { before, describe, it } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { clientOf, generations } from './callers.ts';

/** A service that says which one it is, whatever is asked. */
async function startNamed(name: string): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ name, path: request.url }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

let rig: FakeRig;
let authorization: string;
before(async () => {
  const names = ['flyte2', 'flyte2-console', 'flyte1', 'flyte1-grpc', 'flyte1-console'];
  const urls = await Promise.all(names.map(startNamed));
  const upstreams = Object.fromEntries(names.map((name, at) => [name, { url: urls[at] }]));
  rig = await startFakeRig({
    settings: { preset: ['flyte2', 'flyte1'], upstreams, routes: null, 'auth.userAuth.redirectUrl': null },
    upstream: urls[0] ?? '',
    files: { 'secrets/assertion_key': makeAssertionKey() },
  });
  authorization = `Bearer ${await rig.provider.accessToken()}`;
});

describe('both presets on one host', () => {
  for (const [path, name] of [
    ['/flyteidl2.workflow.RunService/CreateRun', 'flyte2'],
    ['/flyteidl2.project.ProjectService/ListProjects', 'flyte2'],
    ['/v2/', 'flyte2-console'],
    ['/flyteidl.service.AdminService/GetVersion', 'flyte1-grpc'],
    ['/api/v1/projects', 'flyte1'],
    ['/console', 'flyte1-console'],
  ] as const) {
    it(`${path} goes to ${name}, and strangers go nowhere`, async () => {
      assert.equal((await rig.ask(path)).status, 401);
      assert.equal((await rig.ask(path, { fields: { authorization } })).json()['name'], name);
    });
  }

  for (const [path, name] of [
    ['/healthz', 'flyte2'],
    ['/readyz', 'flyte2'],
    ['/healthcheck', 'flyte1'],
  ] as const) {
    it(`${path} of ${name} is public`, async () => assert.equal((await rig.ask(path)).json()['name'], name));
  }

  it('everything else is nowhere', async () => {
    for (const path of ['/', '/metrics', '/flyteidl3.x/Y', '/debug'])
      assert.equal((await rig.ask(path, { fields: { authorization } })).status, 404);
  });

  it('what Flyte’s clients ask to sign in is answered here for both generations, not behind', async () => {
    for (const { metadata, identity } of generations) {
      const at = { protocol: 'Connect over HTTP/2', baseUrl: rig.url };
      assert.equal((await clientOf(metadata, at).getOAuth2Metadata({})).issuer, rig.issuer);
      const isUnauthenticated = (error: unknown) => ConnectError.from(error).code === Code.Unauthenticated;
      await assert.rejects(clientOf(identity, at).userInfo({}), isUnauthenticated);
      assert.equal((await clientOf(identity, { ...at, fields: { authorization } }).userInfo({})).subject, 'ada');
    }
  });

  it('people who signed in start at the console of the first', async () => {
    const { page } = await rig.signIn('/login');
    assert.equal(page.url.pathname, '/v2');
  });
});

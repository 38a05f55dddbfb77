import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { discover } from '../../src/oidc/discovery.ts';
import { createOutbound, type Outbound } from '../../src/oidc/outbound.ts';
import { testCertificate } from '../server/test-certificate.ts';

describe('metadata that came by https and names an endpoint on the gateway’s own machine', () => {
  let server: Server;
  let outbound: Outbound;
  let folder = '';
  let issuer = '';
  let endpoints: Readonly<Record<string, string>> = {};
  before(async () => {
    server = createServer(testCertificate, (_, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ issuer, ...endpoints })),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    folder = await mkdtemp(join(tmpdir(), 'flytegate-'));
    const caFile = join(folder, 'ca.pem');
    await writeFile(caFile, testCertificate.cert);
    outbound = createOutbound({ timeoutMs: 2000, allowHttp: false, caFile });
  });
  after(async () => {
    await outbound.close();
    await rm(folder, { recursive: true });
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  for (const name of ['token_endpoint', 'jwks_uri', 'userinfo_endpoint', 'revocation_endpoint', 'end_session_endpoint'])
    for (const url of [
      'http://127.0.0.1:9090/metrics',
      'http://localhost/',
      'http://[::1]:9090/',
      'http://a.localhost/',
    ])
      it(`is not believed: ${name} ${url}`, async () => {
        endpoints = { [name]: url };
        await assert.rejects(discover({ baseUrl: issuer, issuer, outbound }), { code: 'issuer_unreachable' });
      });

  it('is not this one', async () => {
    endpoints = { token_endpoint: `${issuer}/token` };
    const metadata = await discover({ baseUrl: issuer, issuer, outbound });
    assert.equal(metadata.token_endpoint, `${issuer}/token`);
  });
});

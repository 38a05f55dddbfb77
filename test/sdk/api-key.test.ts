import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { requireSdk } from '../sdk-environment.ts';
import { sdkCertificate } from './certificate.ts';
import { startConnectProxy } from './connect-proxy.ts';
import { startSdkRig } from './rig.ts';
import { startSdk } from './sdk-client.ts';

const sdk = requireSdk();
const program = 'flyte2_client.py';
const service = { subject: 'flyte-service', name: '' };

// The SDK splits a key at its colons, so that the endpoint in it has neither scheme nor port: it is a name at port 443.
describe('Flyte 2’s SDK with an API key', { skip: sdk.skip }, () => {
  const start = async () => {
    const settings = { 'auth.apiKeys.enabled': true };
    const rig = await startSdkRig({ publicUrl: 'https://flyte.test', tls: sdkCertificate, settings });
    const proxy = await startConnectProxy(() => rig.port);
    const { id, secret } = rig.provider.clients.service;
    const key = Buffer.from(`flyte.test:${id}:${secret}:acme`).toString('base64');
    const client = (more: object, env: Readonly<Record<string, string>> = {}) =>
      startSdk({
        program,
        env: { HTTPS_PROXY: proxy, NO_PROXY: '127.0.0.1', ...env },
        settings: { ca_cert_file_path: rig.caFile, ...more },
      });
    return { rig, key, client };
  };

  it('exchanges FLYTE_API_KEY itself, at the provider that the gateway names', async () => {
    const { key, client } = await start();
    const one = await client({}, { FLYTE_API_KEY: key });
    assert.deepEqual(await one.call('whoami'), { result: service });
    assert.deepEqual(await one.call('runs'), { result: [['demo-run', 'flyte-service']] });
  });

  it('or sends it as it is, and the gateway does', async () => {
    const { rig, key, client } = await start();
    const one = await client({ endpoint: 'flyte.test', auth_type: 'Passthrough' });
    const metadata = [['authorization', `Bearer ${key}`]] as const;
    assert.deepEqual(await one.call('whoami', metadata), { result: service });
    assert.deepEqual(await one.call('runs', metadata), { result: [['demo-run', 'flyte-service']] });
    for (const { fields } of rig.reached) assert.equal(fields.authorization, undefined);
    assert.ok(!rig.log.text().includes(key));
  });
});

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { requireSdk } from '../sdk-environment.ts';
import { startIdentityAwareProxy } from './identity-aware-proxy.ts';
import { startSdkRig } from './rig.ts';
import { makeHome, startSdk } from './sdk-client.ts';

const sdk = requireSdk();

// flyte 2.12.1 cannot be given a proxy_command: it fails on it before anything is sent. What it would send is sent by auth_metadata.
describe('proxy-authorization of Flyte’s SDKs', { skip: sdk.skip }, () => {
  it('gets Flyte 2’s through an identity-aware proxy in front, and no service behind hears of it', async () => {
    const front = await startIdentityAwareProxy('let-me-in');
    const rig = await startSdkRig({ publicUrl: `https://localhost:${front.port}` });
    front.sendTo(rig.port);
    const settings = { endpoint: `localhost:${front.port}`, ca_cert_file_path: rig.caFile, auth_type: 'Passthrough' };
    const client = await startSdk({ program: 'flyte2_client.py', settings });
    const metadata = [
      ['authorization', `Bearer ${await rig.appToken()}`],
      ['proxy-authorization', 'Bearer let-me-in'],
    ] as const;
    assert.deepEqual(await client.call('whoami', metadata), { result: { subject: 'flyte-service', name: '' } });
    assert.deepEqual(await client.call('runs', metadata), { result: [['demo-run', 'flyte-service']] });
    assert.deepEqual(await client.call('watch', metadata), { result: ['queued', 'running', 'succeeded'] });
    assert.equal(rig.reached.length, 3, 'two lists and a stream');
    for (const { fields } of rig.reached) assert.equal(fields['proxy-authorization'], undefined);
  });

  it('comes of Flyte 1’s proxy_command beside its own sign-in, and stays here', async () => {
    const rig = await startSdkRig();
    const { id, secret } = rig.provider.clients.service;
    const home = await makeHome();
    const settings = {
      endpoint: rig.endpoint,
      ca_cert_file_path: rig.caFile,
      auth_mode: 'CLIENTSECRET',
      client_id: id,
      client_credentials_secret: secret,
      proxy_command: ['sh', '-c', 'echo asked >> asked; echo let-me-in'],
    };
    const client = await startSdk({ program: 'flyte1_client.py', settings, home });
    assert.deepEqual(await client.call('projects'), { result: ['flytesnacks', 'forecasts'] });
    assert.match(await readFile(join(home, 'asked'), 'utf8'), /asked/, 'the first refusal made it ask the command');
    assert.equal(rig.reached.length, 1);
    for (const { fields } of rig.reached) assert.equal(fields['proxy-authorization'], undefined);
  });

  it('is nobody’s credential, even when it holds a token that would be good in authorization', async () => {
    const rig = await startSdkRig();
    const token = await rig.appToken();
    const settings = { endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, auth_type: 'Passthrough' };
    const flyte2 = await startSdk({ program: 'flyte2_client.py', settings });
    for (const call of ['whoami', 'projects']) {
      const outcome = await flyte2.call(call, [['proxy-authorization', `Bearer ${token}`]]);
      assert.equal('code' in outcome && outcome.code, 'unauthenticated');
    }
    assert.deepEqual(rig.reached, []);
  });
});

import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { requireSdk } from '../sdk-environment.ts';
import { type SdkRig, startSdkRig } from './rig.ts';
import { type SdkClient, startSdk } from './sdk-client.ts';

const sdk = requireSdk();
const program = 'flyte1_client.py';
const app = { subject: 'flyte-service', name: '' };

describe('Flyte 1’s SDK (gRPC’s C core) through the gateway, over TLS', { skip: sdk.skip }, () => {
  let rig: SdkRig;
  before(async () => {
    rig = await startSdkRig();
  });
  const start = (settings: object) =>
    startSdk({ program, settings: { endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, ...settings } });
  const is = async (client: SdkClient, who: { subject: string; name: string }) => {
    assert.deepEqual(await client.call('projects'), { result: ['flytesnacks', 'forecasts'] });
    assert.deepEqual(await client.call('whoami'), { result: who });
    assert.equal(rig.reached.at(-1)?.fields['x-user-subject'], who.subject, 'flyteadmin is told the same');
  };

  for (const mode of ['PKCE', 'DEVICEFLOW']) {
    it(`${mode}: a person signs in`, async () => {
      const client = await start({ auth_mode: mode });
      const listed = client.call('projects');
      await rig.approve(await client.address());
      assert.deepEqual(await listed, { result: ['flytesnacks', 'forecasts'] });
      await is(client, { subject: 'ada', name: 'Ada Okafor' });
    });
  }

  it('client secret: an app is itself', async () => {
    const { id, secret } = rig.provider.clients.service;
    await is(await start({ auth_mode: 'CLIENTSECRET', client_id: id, client_credentials_secret: secret }), app);
  });

  it('external command: whose token the command says', async () => {
    await is(await start({ auth_mode: 'EXTERNALCOMMAND', command: ['echo', await rig.appToken()] }), app);
  });
});

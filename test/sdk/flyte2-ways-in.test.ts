import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { requireSdk } from '../sdk-environment.ts';
import { type SdkRig, startSdkRig } from './rig.ts';
import { keptCredentials, makeHome, type Outcome, type SdkClient, startSdk } from './sdk-client.ts';

const sdk = requireSdk();
const program = 'flyte2_client.py';
const ada = { result: { subject: 'ada', name: 'Ada Okafor' } };

describe('Flyte 2’s SDK through the gateway, over TLS', { skip: sdk.skip }, () => {
  let rig: SdkRig;
  const tokensAsked: string[] = [];
  before(async () => {
    rig = await startSdkRig({ provider: { onToken: ({ grantType }) => tokensAsked.push(grantType) } });
  });
  const start = (settings: object, home?: string) =>
    startSdk({
      program,
      settings: { endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, ...settings },
      ...(home !== undefined && { home }),
    });
  const seesAll = async (call: (name: string) => Promise<Outcome>, subject: string) => {
    assert.deepEqual(await call('projects'), { result: ['flytesnacks', 'forecasts'] });
    assert.deepEqual(await call('tasks'), { result: ['snacks.train'] });
    assert.deepEqual(await call('runs'), { result: [['demo-run', subject]] });
  };
  const signIn = async (client: SdkClient) => {
    const who = client.call('whoami');
    const page = await rig.approve(await client.address());
    return { who: await who, page };
  };

  it('PKCE: a person signs in in the browser, once, and is who Flyte says started the run', async () => {
    const home = await makeHome();
    const client = await start({ auth_type: 'Pkce' }, home);
    const { who, page } = await signIn(client);
    assert.match(page.text, /successfully authenticated/);
    assert.deepEqual(who, ada);
    await seesAll(client.call, 'ada');
    assert.match(await keptCredentials(home), /^tokens = /m);
    const later = await start({ auth_type: 'Pkce' }, home);
    assert.deepEqual(await later.call('whoami'), ada, 'with what it kept, and no browser');
  });

  it('PKCE: a run is watched, change by change, until it is done', async () => {
    const client = await start({ auth_type: 'Pkce' });
    await signIn(client);
    assert.deepEqual(await client.call('watch'), { result: ['queued', 'running', 'succeeded'] });
    assert.equal(rig.reached.filter(({ path }) => path.endsWith('/WatchActionDetails')).length, 1, 'in one stream');
  });

  it('PKCE: an access token that died is renewed without a browser', async () => {
    const client = await start({ auth_type: 'Pkce' });
    await signIn(client);
    const tokens = tokensAsked.length;
    rig.move(10 * 60_000);
    const back = rig.log.until(({ code }) => code === 'token_expired').then(() => rig.move(-10 * 60_000));
    assert.deepEqual(await client.call('whoami'), ada);
    await back;
    assert.deepEqual(tokensAsked.slice(tokens), ['refresh_token']);
  });

  it('device flow: a person confirms on another device', async () => {
    const client = await start({ auth_type: 'DeviceFlow' });
    const { who, page } = await signIn(client);
    assert.match(page.text, /Your device is signed in/);
    assert.deepEqual(who, ada);
    await seesAll(client.call, 'ada');
  });

  it('client secret: an app is itself', async () => {
    const { id, secret } = rig.provider.clients.service;
    const client = await start({ auth_type: 'ClientSecret', client_id: id, client_credentials_secret: secret });
    assert.deepEqual(await client.call('whoami'), { result: { subject: id, name: '' } });
    await seesAll(client.call, id);
  });

  it('external command: whose token the command says', async () => {
    const client = await start({ auth_type: 'ExternalCommand', command: ['echo', await rig.appToken()] });
    assert.deepEqual(await client.call('whoami'), { result: { subject: 'flyte-service', name: '' } });
    await seesAll(client.call, 'flyte-service');
  });

  it('passthrough: whose token stands in auth_metadata, call by call, and nobody without', async () => {
    const client = await start({ auth_type: 'Passthrough' });
    const token = await rig.appToken();
    for (const key of ['authorization', 'flyte-authorization']) {
      const call = (name: string) => client.call(name, [[key, `Bearer ${token}`]]);
      assert.deepEqual(await call('whoami'), { result: { subject: 'flyte-service', name: '' } });
      await seesAll(call, 'flyte-service');
    }
    for (const metadata of [undefined, [['authorization', 'Bearer e30.e30.e30']] as const]) {
      const nobody = await client.call('projects', metadata);
      assert.equal('code' in nobody && nobody.code, 'unauthenticated');
    }
  });
});

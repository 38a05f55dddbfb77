import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { freePort } from '../fakes/nginx.ts';
import { requireSdk } from '../sdk-environment.ts';
import { type Cable, layCable } from './cable.ts';
import { type SdkRig, startSdkRig } from './rig.ts';
import { keptCredentials, makeHome, type Outcome, startSdk } from './sdk-client.ts';

const sdk = requireSdk();
/** Longer than the gateway leaves a provider alone after a failure. */
const pauseMs = 60_000;
/** Longer than an access token lives. */
const tokenMs = 600_000;

// The SDK throws its credentials away when it is told that they are bad, or when it cannot get new ones: so it must be told neither
// while nobody can say.
describe('Flyte 2’s SDK while the provider is out of reach', { skip: sdk.skip }, () => {
  let rig: SdkRig;
  let cable: Cable;
  let home: string;
  let kept: string;
  before(async () => {
    const [front, port] = [await freePort(), await freePort()];
    cable = await layCable(front, port);
    rig = await startSdkRig({
      provider: { port, issuer: `http://127.0.0.1:${front}` },
      settings: { 'auth.appAuth.externalAuthServer.retryDelay': '0s' },
    });
    home = await makeHome();
    const client = await start();
    const who = client.call('whoami');
    await rig.approve(await client.address());
    assert.ok('result' in (await who));
    kept = await keptCredentials(home);
    assert.match(kept, /^tokens = /m);
  });
  const start = () =>
    startSdk({
      program: 'flyte2_client.py',
      settings: { endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, auth_type: 'Pkce', rpc_retries: 1 },
      home,
    });
  const codeOf = (outcome: Outcome) => ('code' in outcome ? outcome.code : 'a result');

  it('goes on with the keys that are known', async () => {
    await cable.cut();
    const client = await start();
    assert.deepEqual(await client.call('runs'), { result: [['demo-run', 'ada']] });
    await cable.mend();
  });

  it('hears unavailable when nobody can tell, keeps its credentials, and goes on with them afterwards', async () => {
    await cable.cut();
    await rig.restart();
    const client = await start();
    for (const call of ['whoami', 'projects', 'runs']) {
      const outcome = await client.call(call);
      assert.equal(codeOf(outcome), 'unavailable');
      assert.doesNotMatch('message' in outcome ? outcome.message : '', /unauthorized|unauthenticated/i);
    }
    assert.equal(await keptCredentials(home), kept);
    await cable.mend();
    rig.move(pauseMs);
    assert.deepEqual(await client.call('runs'), { result: [['demo-run', 'ada']] });
    assert.equal(await keptCredentials(home), kept, 'nobody signed in again');
  });

  it('hears unavailable, too, when its token dies meanwhile, and does not throw away what it can renew it with', async () => {
    const client = await start();
    await cable.cut();
    rig.move(tokenMs);
    for (const call of ['whoami', 'runs']) assert.equal(codeOf(await client.call(call)), 'unavailable');
    assert.equal(await keptCredentials(home), kept);
    await cable.mend();
    rig.move(pauseMs);
    const back = rig.log.until(({ code }) => code === 'token_expired').then(() => rig.move(-tokenMs - pauseMs));
    assert.deepEqual(await client.call('runs'), { result: [['demo-run', 'ada']] });
    await back;
    assert.notEqual(await keptCredentials(home), kept, 'renewed, and nobody signed in again');
    kept = await keptCredentials(home);
  });

  it('hears unavailable, too, when it asks how to sign in', async () => {
    await cable.cut();
    await rig.restart();
    const { id, secret } = rig.provider.clients.service;
    const stranger = await startSdk({
      program: 'flyte2_client.py',
      settings: {
        ...{ endpoint: rig.endpoint, ca_cert_file_path: rig.caFile, auth_type: 'ClientSecret', rpc_retries: 1 },
        ...{ client_id: id, client_credentials_secret: secret },
      },
    });
    assert.equal(codeOf(await stranger.call('whoami')), 'unavailable');
    await cable.mend();
    rig.move(pauseMs);
    assert.deepEqual(await stranger.call('whoami'), { result: { subject: id, name: '' } });
  });
});

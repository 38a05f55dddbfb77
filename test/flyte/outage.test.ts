import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';
import { clientOf, generations, protocols } from './callers.ts';

const [, flyte2] = generations;
const quickly = { 'auth.appAuth.externalAuthServer.retryAttempts': 1, 'auth.timeout': '1s' };

describe('in an outage of the provider', () => {
  let lost: FakeRig;
  before(async () => {
    lost = await startFakeRig({ settings: quickly, behaviour: { answers: { discovery: { status: 503 } } } });
  });

  for (const protocol of Object.keys(protocols)) {
    it(`${protocol} hears unavailable as long as there is no copy, in words that keep credentials stored`, async () => {
      const asked = clientOf(flyte2.metadata, { protocol, baseUrl: lost.url }).getOAuth2Metadata({});
      await assert.rejects(asked, (error) => {
        const { code, rawMessage } = ConnectError.from(error);
        assert.doesNotMatch(rawMessage, /unauthorized|unauthenticated/i);
        return code === Code.Unavailable;
      });
    });
  }

  it('says so in one shape, with the reference that stands in the log', async () => {
    const path = '/flyteidl2.auth.AuthMetadataService/GetOAuth2Metadata';
    const fields = { 'content-type': 'application/json', 'connect-protocol-version': '1' };
    const answer = await lost.ask(path, { method: 'POST', fields, body: '{}' });
    assert.deepEqual([answer.status, answer.json()['code'], answer.one('retry-after')], [503, 'unavailable', '5']);
    const line = await lost.log.until(({ id }) => id === answer.json()['reference']);
    assert.equal(line['code'], 'issuer_unreachable');
  });

  it('goes on saying what to sign in with: that is nobody else’s word', async () => {
    const client = clientOf(flyte2.metadata, { protocol: 'gRPC', baseUrl: lost.url });
    assert.equal((await client.getPublicClientConfig({})).clientId, 'flyte-cli');
  });

  it('tries again within one call', async () => {
    const settings = {
      ...quickly,
      'auth.appAuth.externalAuthServer.retryAttempts': 20,
      'auth.appAuth.externalAuthServer.retryDelay': '20ms',
    };
    const rig = await startFakeRig({ settings, behaviour: { answers: { discovery: { status: 503 } } } });
    const asked = clientOf(flyte2.metadata, { protocol: 'gRPC', baseUrl: rig.url }).getOAuth2Metadata({});
    await rig.provider.whenAsked('discovery', 3);
    delete rig.provider.behaviour.answers.discovery;
    assert.equal((await asked).issuer, rig.issuer);
  });

  it('the last good copy is told for as long as there is no newer one', async () => {
    const rig = await startFakeRig({ settings: quickly });
    const client = clientOf(flyte2.metadata, { protocol: 'gRPC', baseUrl: rig.url });
    const first = await client.getOAuth2Metadata({});
    await rig.provider.stop();
    for (const hours of [1, 24, 240]) {
      rig.move(hours * 3_600_000);
      assert.deepEqual(await client.getOAuth2Metadata({}), first);
    }
    const document = await rig.ask('/.well-known/oauth-authorization-server');
    assert.equal(document.json()['issuer'], rig.issuer);
    await rig.provider.restart();
  });

  it('and a newer one is told once there is one', async () => {
    const rig = await startFakeRig({ settings: quickly });
    const client = clientOf(flyte2.metadata, { protocol: 'gRPC', baseUrl: rig.url });
    assert.equal((await client.getOAuth2Metadata({})).deviceAuthorizationEndpoint, '');
    rig.provider.behaviour.metadata = { device_authorization_endpoint: 'https://idp.example.com/device' };
    rig.move(3_600_000);
    const asked = rig.provider.calls.discovery;
    await client.getOAuth2Metadata({});
    await rig.provider.whenAsked('discovery', asked + 1);
    // Renewed in the background: a call more, or some, until it is in.
    const { deviceAuthorizationEndpoint } = await until(
      () => client.getOAuth2Metadata({}),
      ({ deviceAuthorizationEndpoint }) => deviceAuthorizationEndpoint !== '',
    );
    assert.equal(deviceAuthorizationEndpoint, 'https://idp.example.com/device');
  });
});

async function until<T>(ask: () => Promise<T>, isEnough: (answer: T) => boolean): Promise<T> {
  for (let left = 200; ; left--) {
    const answer = await ask();
    if (isEnough(answer) || left === 0) return answer;
  }
}

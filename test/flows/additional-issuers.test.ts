import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';

const minuteMs = 60_000;

async function startOther(audience: string): Promise<FakeProvider> {
  const provider = await startProvider({ audience });
  endLater(provider.stop);
  return provider;
}

const send = async (rig: FakeRig, token: string) =>
  rig.ask('/api/v1/whoami', { fields: { authorization: `Bearer ${token}` } });

describe('tokens of further issuers', () => {
  let rig: FakeRig;
  let ci: FakeProvider;
  let batch: FakeProvider;
  before(async () => {
    ci = await startOther('flyte-ci');
    batch = await startOther('flyte-batch');
    rig = await startFakeRig({
      settings: {
        'auth.additionalIssuers': [
          { issuer: ci.issuer, audiences: ['flyte-ci', 'flyte-ci-2'], requiredScope: 'deploy' },
          { issuer: batch.issuer, audiences: ['flyte-batch'], jwksUrl: `${batch.issuer}/jwks` },
        ],
      },
    });
  });

  it('get through by the rule of their own issuer, and are passed on', async () => {
    const token = await ci.accessToken({ scope: 'deploy', sub: 'runner' });
    const answer = await send(rig, token);
    assert.equal(answer.status, 200);
    assert.equal(Object(answer.json()['identity'])['x-auth-request-user'], 'runner');
    assert.equal(Object(answer.json()['headers'])['authorization'], `Bearer ${token}`);
    assert.equal((await send(rig, await batch.accessToken())).status, 200);
  });

  it('need the scope of their own issuer, not that of another', async () => {
    assert.equal((await send(rig, await ci.accessToken({ scope: 'all' }))).status, 403);
    assert.equal((await send(rig, await batch.accessToken({ scope: 'deploy' }))).status, 403);
    assert.equal((await send(rig, await rig.provider.accessToken({ scope: 'deploy' }))).status, 403);
    const line = await rig.log.until((one) => one['event'] === 'decision.denied' && one['issuer'] === ci.issuer);
    assert.equal(line['missing'], 'deploy');
  });

  it('are told which scope they lack: that of their own issuer, by /me and by what is forwarded', async () => {
    for (const [token, scope] of [
      [await ci.accessToken({ scope: 'all' }), 'deploy'],
      [await batch.accessToken({ scope: 'deploy' }), 'all'],
      [await rig.provider.accessToken({ scope: 'deploy' }), 'all'],
    ] as const) {
      const asked = await rig.ask('/me', { fields: { authorization: `Bearer ${token}` } });
      // Once more: what is remembered says the same.
      for (const answer of [await send(rig, token), await send(rig, token), asked])
        assert.equal(
          answer.one('www-authenticate'),
          `Bearer realm="flyte", error="insufficient_scope", scope="${scope}"`,
        );
    }
  });

  it('take any audience of their own issuer', async () => {
    assert.equal((await send(rig, await ci.accessToken({ scope: 'deploy', aud: 'flyte-ci-2' }))).status, 200);
  });

  it('need no metadata where the settings say where the keys are', () => assert.equal(batch.calls.discovery, 0));

  it('leave those of the first issuer as they are', async () => {
    assert.equal((await send(rig, await rig.provider.accessToken())).status, 200);
  });

  it('sign nobody in: a session needs no scope of theirs', async () => {
    const { cookie } = await rig.signIn();
    assert.equal((await rig.ask('/api/v1/whoami', { fields: { cookie } })).status, 200);
  });
});

describe('an outage', () => {
  it('of one issuer is “could not tell” for its tokens, and nothing to those of others', async () => {
    const ci = await startOther('flyte-ci');
    const rig = await startFakeRig({
      settings: {
        'auth.additionalIssuers': [{ issuer: ci.issuer, audiences: ['flyte-ci'] }],
        'auth.appAuth.externalAuthServer.retryDelay': '0s',
      },
    });
    await ci.stop();
    await rig.restart();
    assert.equal((await send(rig, await ci.accessToken())).status, 503);
    assert.equal((await send(rig, await rig.provider.accessToken())).status, 200);
    await ci.restart();
    await rig.provider.stop();
    await rig.restart();
    rig.move(minuteMs);
    assert.equal((await send(rig, await ci.accessToken())).status, 200);
    assert.equal((await send(rig, await rig.provider.accessToken())).status, 503);
  });
});

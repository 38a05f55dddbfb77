import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { createUserInfo } from '../../src/flyte/user-info.ts';
import { createLogLines } from '../flows/log-lines.ts';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';
import { clientOf, generations } from './callers.ts';

const [, flyte2] = generations;
let rig: FakeRig;
before(async () => {
  rig = await startFakeRig();
});

const whoIs = (token: string) =>
  clientOf(flyte2.identity, {
    protocol: 'gRPC',
    baseUrl: rig.url,
    fields: { authorization: `Bearer ${token}` },
  }).userInfo({});

describe('UserInfo of people whose token says little', () => {
  it('asks the provider with that token, once however many ask', async () => {
    const token = await rig.provider.accessToken();
    const before = rig.provider.calls.userinfo;
    const answers = await Promise.all(Array.from({ length: 20 }, () => whoIs(token)));
    for (const { name, email } of answers) assert.deepEqual([name, email], ['Ada Lovelace', 'ada@example.com']);
    await whoIs(token);
    assert.equal(rig.provider.calls.userinfo, before + 1);
  });

  it('asks nobody where the token says enough', async () => {
    const before = rig.provider.calls.userinfo;
    const full = { name: 'Ada', preferred_username: 'ada', email: 'ada@example.com' };
    assert.equal((await whoIs(await rig.provider.accessToken(full))).name, 'Ada');
    assert.equal(rig.provider.calls.userinfo, before);
  });

  it('believes the token where both speak', async () => {
    const token = await rig.provider.accessToken({ name: 'A. Lovelace' });
    const { name, email } = await whoIs(token);
    assert.deepEqual([name, email], ['A. Lovelace', 'ada@example.com']);
  });

  it('shows nothing of an answer about somebody else', async () => {
    rig.provider.behaviour.userinfo = { sub: 'eve', name: 'Eve' };
    const { subject, name } = await whoIs(await rig.provider.accessToken({ jti: 'other' }));
    assert.deepEqual([subject, name], ['ada', '']);
    rig.provider.behaviour.userinfo = {};
  });

  for (const [what, answer] of Object.entries({
    'says no': { status: 401 },
    'is down': { status: 503 },
    'answers garbage': { status: 200, fields: { 'content-type': 'application/json' }, body: '[' },
    'answers too much': {
      status: 200,
      fields: { 'content-type': 'application/json' },
      body: JSON.stringify({ sub: 'ada', name: 'x'.repeat(100_000) }),
    },
  })) {
    it(`says what the token says when the provider ${what}, and does not ask again at once`, async () => {
      rig.provider.behaviour.answers.userinfo = answer;
      const token = await rig.provider.accessToken({ jti: what });
      const before = rig.provider.calls.userinfo;
      for (let i = 0; i < 3; i++) {
        const { subject, name } = await whoIs(token);
        assert.deepEqual([subject, name], ['ada', '']);
      }
      assert.equal(rig.provider.calls.userinfo, before + 1);
      delete rig.provider.behaviour.answers.userinfo;
    });
  }

  it('asks again a minute after a failure', async () => {
    rig.provider.behaviour.answers.userinfo = { status: 503 };
    const token = await rig.provider.accessToken({ jti: 'later' });
    assert.equal((await whoIs(token)).name, '');
    delete rig.provider.behaviour.answers.userinfo;
    rig.move(61_000);
    assert.equal((await whoIs(token)).name, 'Ada Lovelace');
  });

  it('says what the token says when the provider takes its time, and keeps its answer all the same', async () => {
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
    const log = createLogLines().output.log;
    const tell = createUserInfo({ issuer: 'i', ask: () => promise, patienceMs: 5, now: () => 0, log });
    const identity = { issuer: 'i', subject: 'ada', kind: 'person', emailVerified: false, expiresAt: 1 } as const;
    const asking = { identity: { ...identity, groups: [], scopes: [], claims: {} }, bearer: 'token' };
    assert.equal((await tell(asking)).name, '');
    resolve({ sub: 'ada', name: 'Ada' });
    await promise;
    assert.equal((await tell(asking)).name, 'Ada');
  });

  it('shows no issuer the token of another one', async () => {
    let shown = 0;
    const ask = async () => {
      shown += 1;
      return { sub: 'ada', name: 'Ada' };
    };
    const log = createLogLines().output.log;
    const tell = createUserInfo({ issuer: 'i', ask, patienceMs: 1000, now: () => 0, log });
    const identity = { issuer: 'other', subject: 'ada', kind: 'person', emailVerified: false, expiresAt: 1 } as const;
    const { subject, name } = await tell({
      identity: { ...identity, groups: [], scopes: [], claims: {} },
      bearer: 'x',
    });
    assert.deepEqual([subject, name], ['ada', '']);
    assert.equal(shown, 0);
  });
});

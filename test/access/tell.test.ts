import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Assertion } from '../../src/access/assertion.ts';
import { createIdentityHeaders } from '../../src/access/identity-headers.ts';
import { createTell, type TellNeeds } from '../../src/access/tell.ts';
import type { Upstream } from '../../src/config/config.ts';
import { Secret } from '../../src/config/secret.ts';
import { Failure } from '../../src/failure.ts';
import { createRecordedLog } from '../authenticate/fixtures.ts';
import { usualTimes } from '../forward/front.ts';
import { createTestClock, MINUTE } from '../session/fixtures.ts';
import { person } from './fixtures.ts';

function upstream(name: string, changes: Partial<Upstream>): Upstream {
  const places = { name, protocol: 'http', targets: [], connectTimeoutMs: 1, headersTimeoutMs: 1 } as const;
  return { ...places, ...usualTimes, identityHeaders: [], upstreamAuthorization: 'verified', ...changes };
}

const upstreams = Object.fromEntries(
  [
    upstream('one', { identityHeaders: ['auth-request', 'flyteadmin'] }),
    upstream('other', { identityHeaders: ['flyteadmin', 'auth-request'] }),
    upstream('signed', { identityHeaders: ['assertion'] }),
    upstream('none', { upstreamAuthorization: 'none' }),
    upstream('session', { upstreamAuthorization: 'session-token' }),
    upstream('service', { upstreamAuthorization: 'service-app' }),
  ].map((one) => [one.name, one]),
);

function setUp(changes: Partial<TellNeeds> = {}) {
  const clock = createTestClock();
  const tell = createTell({
    upstreams,
    identityHeaders: createIdentityHeaders({ claims: [], log: createRecordedLog().log }),
    assert: async () => assert.fail('nothing is to be signed'),
    serviceToken: async () => assert.fail('no token is to be fetched'),
    onKept: () => undefined,
    now: clock.now,
    ...changes,
  });
  return { clock, tell };
}

const allow = { kind: 'allow', identity: person(), until: 0 } as const;
const admitted = { allow, bearer: undefined };

describe('what an upstream is told', () => {
  it('is one list for an identity at all upstreams with the same modes', async () => {
    const { tell } = setUp();
    const [one, again, other] = [tell('one', admitted), tell('one', admitted), tell('other', admitted)];
    assert.ok(!(one instanceof Promise) && !(again instanceof Promise) && !(other instanceof Promise));
    assert.equal(one.identity, again.identity);
    assert.equal(one.identity, other.identity);
  });

  it('is signed once however many ask, and again before it dies', async () => {
    const held: ((assertion: Assertion) => void)[] = [];
    const { clock, tell } = setUp({ assert: () => new Promise((resolve) => held.push(resolve)) });
    const asked = Array.from({ length: 100 }, () => tell('signed', admitted));
    assert.equal(held.length, 1);
    held[0]?.({ jwt: 'first', reuseUntil: clock.now() + 4 * MINUTE });
    const lists = new Set((await Promise.all(asked)).map(({ identity }) => identity));
    assert.deepEqual([...lists], [['X-Flytegate-Assertion', 'first']]);
    clock.advance(4 * MINUTE - 1);
    assert.ok(!(tell('signed', admitted) instanceof Promise));
    clock.advance(1);
    const next = tell('signed', admitted);
    held[1]?.({ jwt: 'second', reuseUntil: clock.now() + 4 * MINUTE });
    assert.deepEqual((await next).identity, ['X-Flytegate-Assertion', 'second']);
    assert.equal(held.length, 2);
  });

  it('is signed for each identity apart', async () => {
    const signed: string[] = [];
    const { clock, tell } = setUp({
      assert: async ({ subject }) => {
        signed.push(subject);
        return { jwt: subject, reuseUntil: clock.now() + MINUTE };
      },
    });
    for (const subject of ['ada', 'bob', 'ada']) {
      const told = await tell('signed', { allow: { ...allow, identity: person({ subject }) }, bearer: undefined });
      assert.deepEqual(told.identity, ['X-Flytegate-Assertion', subject]);
    }
    assert.deepEqual(signed, ['ada', 'bob', 'ada']);
  });

  it('is nothing while it cannot be signed, and tried again by the next', async () => {
    let fails = true;
    const { clock, tell } = setUp({
      assert: async () => {
        if (fails) throw new Error('no entropy');
        return { jwt: 'well', reuseUntil: clock.now() + MINUTE };
      },
    });
    await assert.rejects(async () => tell('signed', admitted), /no entropy/);
    fails = false;
    assert.deepEqual((await tell('signed', admitted)).identity, ['X-Flytegate-Assertion', 'well']);
  });

  it('never is what a credential was exchanged for, but where tokens of sessions go', async () => {
    const exchanged = { allow: { ...allow, accessToken: new Secret('exchanged') }, bearer: undefined };
    const { tell } = setUp({ serviceToken: () => 'ours' });
    const tokens = await Promise.all(
      ['one', 'none', 'session', 'service'].map(async (name) => {
        const { bearer, authorization } = await tell(name, exchanged);
        return [bearer, authorization];
      }),
    );
    assert.deepEqual(tokens, [
      [undefined, undefined],
      [undefined, undefined],
      [undefined, 'exchanged'],
      [undefined, 'ours'],
    ]);
  });

  it('fails as the service token does', async () => {
    const { tell } = setUp({ serviceToken: async () => Promise.reject(new Failure('service_token_failed', 'no')) });
    await assert.rejects(async () => tell('service', admitted), { code: 'service_token_failed' });
  });

  it('fails for an upstream that there is none of', () => {
    assert.throws(() => setUp().tell('__proto__', admitted), { code: 'internal' });
  });

  it('takes as much room beside an identity as is signed, and gives back what takes its place', async () => {
    const kept: number[] = [];
    const lengths = [6000, 1000];
    const { clock, tell } = setUp({
      assert: async () => ({ jwt: 'j'.repeat(lengths.shift() ?? 0), reuseUntil: clock.now() + MINUTE }),
      onKept: (identity, bytes) => {
        assert.equal(identity, allow.identity);
        kept.push(bytes);
      },
    });
    tell('one', admitted);
    assert.deepEqual(kept, [], 'what is not signed counts with the identity');
    await tell('signed', admitted);
    await tell('signed', admitted);
    clock.advance(MINUTE);
    await tell('signed', admitted);
    assert.deepEqual(kept, [6400, -5000]);
  });
});

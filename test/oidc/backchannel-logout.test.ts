import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Failure } from '../../src/failure.ts';
import { createBackchannelLogout } from '../../src/oidc/backchannel-logout.ts';
import { createHeardTokens } from '../../src/oidc/heard-tokens.ts';
import type { Revocation } from '../../src/session/revocations.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { createRig, type Rig } from './rig.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
const DAY = 86_400_000;

describe('a logout token', () => {
  let fake: FakeProvider;
  let rig: Rig;
  before(async () => {
    fake = await startProvider();
    rig = createRig(fake.issuer);
  });
  after(async () => {
    await rig.close();
    await fake.stop();
  });

  const createLogout = (revoke?: (revocation: Revocation) => Promise<void>) => {
    const revoked: Revocation[] = [];
    const logout = createBackchannelLogout({
      provider: rig.provider,
      clientId: 'web',
      heard: createHeardTokens(rig),
      revocations: {
        revoke: revoke ?? (async (revocation) => void revoked.push(revocation)),
      },
      limits: { idleMs: DAY, absoluteMs: 7 * DAY },
      now: rig.now,
      log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    });
    return { revoked, logout };
  };
  let count = 0;
  const token = (changes: Readonly<Record<string, unknown>> = {}) => {
    const at = Math.floor(rig.now() / 1000);
    count += 1;
    const claims = { iss: fake.issuer, aud: 'web', iat: at, exp: at + 120, jti: `j${count}`, sid: 's1', sub: 'ada' };
    const all = { ...claims, events: { [EVENT]: {} }, ...changes };
    return fake.sign(all, { typ: 'logout+jwt' });
  };
  const form = async (changes?: Readonly<Record<string, unknown>>) => `logout_token=${await token(changes)}`;

  it('with a sid alone ends what came of that session there', async () => {
    const { revoked, logout } = createLogout();
    assert.deepEqual(await logout(await form({ sub: undefined })), { kind: 'done' });
    const { issuer } = fake;
    assert.deepEqual(
      revoked.map(({ of }) => of),
      [{ kind: 'provider-session', issuer, sid: 's1' }],
    );
    assert.ok((revoked[0]?.until ?? 0) >= Date.now() + 7 * DAY - 10_000);
  });

  it('with both ends that, and those of the person of which nobody knows what they came of', async () => {
    const { revoked, logout } = createLogout();
    await logout(await form());
    const { issuer } = fake;
    const [first, second, ...more] = revoked.map(({ of }) => of);
    assert.deepEqual(first, { kind: 'provider-session', issuer, sid: 's1', subject: 'ada' });
    assert.deepEqual([second, more], [{ kind: 'person-without-sid', issuer, subject: 'ada' }, []]);
  });

  it('with a sub alone ends all of that person’s that began before, by a clock that is a minute ahead at most', async () => {
    const { revoked, logout } = createLogout();
    await logout(await form({ sid: undefined }));
    assert.deepEqual(revoked[0]?.of, { kind: 'person', issuer: fake.issuer, subject: 'ada' });
    const aheadMs = (revoked[0]?.at ?? 0) - rig.now();
    assert.ok(aheadMs <= 60_000 && aheadMs > 50_000, `${aheadMs}`);
  });

  it('that comes late ends nothing that began since', async () => {
    const { revoked, logout } = createLogout();
    const iat = Math.floor(rig.now() / 1000) - 3600;
    await logout(await form({ sid: undefined, iat, exp: iat + 7200 }));
    assert.equal(revoked[0]?.at, (iat + 120) * 1000, 'but for the provider’s clock, and another replica’s');
  });

  it('is good once, also when it comes twice at once', async () => {
    const { logout, revoked } = createLogout();
    const sent = await form();
    const said = await Promise.all([logout(sent), logout(sent)]);
    assert.deepEqual(said.map(({ kind }) => kind).sort(), ['done', 'refused']);
    assert.equal((await logout(sent)).kind, 'refused');
    assert.equal(revoked.length, 2, 'for its sid, and for its sub');
  });

  it('may come again when not everybody could be told', async () => {
    const failures = [new Failure('store_unreachable', 'down')];
    const { logout } = createLogout(async () => {
      const failure = failures.pop();
      if (failure) throw failure;
    });
    const sent = await form();
    assert.equal((await logout(sent)).kind, 'unreachable');
    assert.equal((await logout(sent)).kind, 'done');
  });
});

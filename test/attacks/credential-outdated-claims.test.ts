import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Session } from '../../src/session/session.ts';
import { type FakeProvider, type Person, startProvider } from '../fakes/provider.ts';
import { createRig, createVisitor, type Rig, sessionOf, signIn } from '../oidc/rig.ts';

const trusted: Person = {
  sub: 'ada',
  preferred_username: 'ada',
  email: 'ada@example.com',
  email_verified: true,
  groups: ['admins'],
  role: 'owner',
};

describe('somebody who lost what made them powerful, at the provider,', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
  });
  beforeEach(() => {
    Object.assign(provider.behaviour, { person: trusted, userinfo: {}, idToken: {} });
    rig = createRig(provider.issuer, { claims: ['role'] });
  });
  afterEach(() => rig.close());
  after(() => provider.stop());

  const enter = async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    return sessionOf(rig, visitor);
  };
  const renewed = async (session: Session) => {
    rig.advance(280_000);
    const renewal = await rig.renewer.renew(session);
    return renewal.kind === 'renewed' ? renewal.session.claims : assert.fail(renewal.kind);
  };

  it('has lost it here with the next renewal, when nobody mentions it any more', async () => {
    const session = await enter();
    assert.deepEqual(session.claims.groups, ['admins']);
    provider.behaviour.person = { sub: 'ada', preferred_username: 'ada' };
    assert.deepEqual(await renewed(session), { sub: 'ada', preferred_username: 'ada' });
    const { facts } = rig.logged.find(({ event }) => event === 'renewal.claims_gone') ?? assert.fail('not logged');
    assert.deepEqual(facts['claims'], ['email', 'email_verified', 'groups', 'role']);
    assert.doesNotMatch(JSON.stringify(facts), /admins|owner|example\.com/);
  });

  it('has lost it when the ID token never spoke of it and userinfo no longer does', async () => {
    provider.behaviour.idToken = { groups: undefined, role: undefined, email: undefined, email_verified: undefined };
    const session = await enter();
    assert.deepEqual(session.claims.groups, ['admins']);
    provider.behaviour.userinfo = { groups: undefined, role: undefined };
    const claims = await renewed(session);
    assert.deepEqual([claims.groups, claims.additional, claims.email], [undefined, undefined, 'ada@example.com']);
  });

  it('has lost it when userinfo says so, however long the ID token repeats what was true at sign-in', async () => {
    const session = await enter();
    provider.behaviour.userinfo = { groups: [], role: 'guest', email_verified: false };
    const claims = await renewed(session);
    assert.deepEqual([claims.groups, claims.additional, claims.email_verified], [[], { role: 'guest' }, false]);
  });

  it('has lost it at a provider that renews without an ID token', async () => {
    const session = await enter();
    provider.behaviour.person = { sub: 'ada' };
    provider.behaviour.answers.token = {
      status: 200,
      body: '{"access_token":"a","token_type":"Bearer","expires_in":300,"refresh_token":"r"}',
    };
    assert.deepEqual(await renewed(session), { sub: 'ada' });
    delete provider.behaviour.answers.token;
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { createRig, createVisitor, type Rig, sessionOf, signIn } from '../oidc/rig.ts';

describe('a thousand requests at the moment of renewal', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
    rig = createRig(provider.issuer);
  });
  after(async () => {
    await rig.close();
    await provider.stop();
  });

  it('make exactly one token call under strict rotation, however slow the provider, and sign nobody out', async () => {
    const visitor = createVisitor();
    await signIn(rig, visitor);
    const session = await sessionOf(rig, visitor);
    rig.advance(290_000);
    const asked = provider.calls.token;
    const release = provider.hold('token');
    const early = Array.from({ length: 500 }, () => rig.renewer.renew(session));
    await provider.whenAsked('token', asked + 1);
    const late = Array.from({ length: 500 }, () => rig.renewer.renew(session));
    release();
    const renewals = await Promise.all([...early, ...late]);
    const stragglers = await Promise.all(Array.from({ length: 100 }, () => rig.renewer.renew(session)));
    const tokens = new Set(
      [...renewals, ...stragglers].map((renewal) => renewal.kind === 'renewed' && renewal.session.refreshToken),
    );
    assert.equal(tokens.size, 1);
    assert.equal(tokens.has(false), false);
    assert.equal(provider.calls.token, asked + 1);
  });
});

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { marksOf } from '../../src/session/marks.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { codeOf, createRig, createVisitor, type Rig, sessionOf, signIn } from '../oidc/rig.ts';

describe('a redirect loop', () => {
  let provider: FakeProvider;
  let rig: Rig;
  before(async () => {
    provider = await startProvider();
  });
  beforeEach(() => {
    rig = createRig(provider.issuer);
  });
  after(() => provider.stop());

  /** A browser that keeps login cookies and loses the session cookie. */
  const lossy = async () => {
    const visitor = createVisitor();
    const outcome = await signIn(rig, visitor);
    rig.advance(1000);
    return codeOf(outcome);
  };

  it('ends on a page that explains once three sign-ins succeeded and no session came back', async () => {
    assert.deepEqual([await lossy(), await lossy(), await lossy()], ['redirect', 'redirect', 'redirect']);
    assert.equal(await lossy(), '400 login_loop');
    await rig.close();
  });

  it('sets no session on that page, and lets the person try again afterwards', async () => {
    for (let n = 0; n < 3; n += 1) await lossy();
    const visitor = createVisitor();
    await signIn(rig, visitor);
    assert.equal(visitor.jar.size, 0);
    assert.equal(await lossy(), 'redirect');
    await rig.close();
  });

  it('is none when a request carried one of the sessions meanwhile', async () => {
    await lossy();
    await lossy();
    const visitor = createVisitor();
    await signIn(rig, visitor);
    rig.loop.seen(marksOf(await sessionOf(rig, visitor)));
    assert.equal(await lossy(), 'redirect');
    await rig.close();
  });

  it('is not broken by a session of the same person in another browser', async () => {
    const elsewhere = createVisitor();
    await signIn(rig, elsewhere);
    rig.loop.seen(marksOf(await sessionOf(rig, elsewhere)));
    for (let n = 0; n < 3; n += 1) {
      await lossy();
      rig.loop.seen(marksOf(await sessionOf(rig, elsewhere)));
    }
    assert.equal(await lossy(), '400 login_loop');
    await rig.close();
  });

  it('is none when the sign-ins took more than half a minute', async () => {
    for (let n = 0; n < 3; n += 1) await lossy();
    rig.advance(30_000);
    assert.equal(await lossy(), 'redirect');
    await rig.close();
  });
});

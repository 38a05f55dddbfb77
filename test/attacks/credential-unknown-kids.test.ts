import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { startFakeRig } from '../flows/rig.ts';

/**
 * Each kid that nobody knows is a reason to ask the issuer for its keys. Whoever makes kids up could have the gateway ask
 * without end; and where it stops asking, could have it refuse the tokens of a key that the issuer has just begun to sign with,
 * whose owners would then throw their credentials away.
 */
describe('tokens with kids that are made up', { timeout: 60_000 }, () => {
  it('have the issuer asked a few times, and nobody’s good token refused', async () => {
    const rig = await startFakeRig();
    const ask = async (kid?: string) => {
      const token = await rig.provider.accessToken({}, kid === undefined ? {} : { kid });
      return rig.ask('/me', { fields: { authorization: `Bearer ${token}` } });
    };
    assert.equal((await ask()).status, 200);
    const asked = rig.provider.calls.jwks;
    const flood = async () => {
      const statuses = (await Promise.all(Array.from({ length: 60 }, () => ask(randomUUID())))).map(
        ({ status }) => status,
      );
      assert.ok(statuses.every((status) => status === 401 || status === 503));
    };
    await flood();
    await rig.provider.rotateKeys({ keepOld: true });
    const good = await rig.provider.accessToken();
    const withGood = (path: string) => rig.ask(path, { fields: { authorization: `Bearer ${good}` } });
    const first = await withGood('/me');
    assert.equal(first.status, 503, 'not told yet, and not told that it is bad');
    assert.ok(first.one('retry-after') !== undefined && !/unauth/i.test(first.text));
    for (let round = 0; round < 10; round += 1) {
      rig.move(6000);
      await flood();
      assert.equal((await withGood('/api/v1/projects')).status, 200);
    }
    const more = rig.provider.calls.jwks - asked;
    assert.ok(more <= 5 + 10, `it was asked ${more} times in a minute`);
  });
});

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
    const begun = performance.now();
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
    // Or known already, where all this took so long that it could be asked for.
    assert.ok([200, 503].includes(first.status), `not told that it is bad: ${first.status}`);
    if (first.status === 503) assert.ok(first.one('retry-after') !== undefined && !/unauth/i.test(first.text));
    for (let round = 0; round < 10; round += 1) {
      rig.move(6000);
      await flood();
      assert.equal((await withGood('/api/v1/projects')).status, 200);
    }
    const [more, tookMs] = [rig.provider.calls.jwks - asked, 60_000 + performance.now() - begun];
    assert.ok(more <= 5 + tookMs / 6000, `it was asked ${more} times in ${tookMs} ms`);
  });
});

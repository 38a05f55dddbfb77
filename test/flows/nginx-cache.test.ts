import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Nginx } from '../fakes/nginx.ts';
import { requireProgram } from '../programs.ts';
import { ask } from './ask.ts';
import { startBehindNginx } from './nginx-front.ts';
import { type FakeRig, startFakeRig } from './rig.ts';

const program = requireProgram('nginx');

/** The example's own key, and the two that operators have in their annotations. */
const cacheKeys = [
  true,
  '$http_flyte_authorization$http_cookie',
  '$http_authorization$http_flyte_authorization$http_cookie',
] as const;

for (const key of cacheKeys) {
  describe(`nginx’s own cache of checks, key ${key === true ? 'of the example' : key}`, { skip: program.skip }, () => {
    let rig: FakeRig;
    let front: Nginx;
    before(async () => {
      ({ rig, front } = await startBehindNginx({ path: program.path, start: startFakeRig, cacheKey: key }));
    });
    const status = async (fields: Record<string, string>) =>
      (await ask(`${front.url}/api/v1/whoami`, { fields })).status;
    const checks = () => rig.log.of('me.allowed').length;

    it('is used: a second request by the same cookie is not asked for again', async () => {
      const { cookie } = await rig.signIn();
      assert.equal(await status({ cookie }), 200);
      const before = checks();
      assert.equal(await status({ cookie }), 200);
      assert.equal(checks(), before);
    });

    it('lets no stranger in: none, another cookie, a bad bearer, or one beside the cookie', async () => {
      const { cookie } = await rig.signIn();
      assert.equal(await status({ cookie }), 200);
      assert.equal(await status({}), 401);
      assert.equal(await status({ cookie: `${cookie}x` }), 401);
      assert.equal(await status({ 'flyte-authorization': 'Bearer bad' }), 401);
      assert.equal(await status({ 'flyte-authorization': 'Bearer bad', cookie }), 401);
    });

    it('lets no stranger ride on somebody’s authorization', async () => {
      const authorization = `Bearer ${await rig.provider.accessToken({ sub: 'rider' })}`;
      for (let i = 0; i < 3; i++) assert.equal(await status({ authorization }), 200);
      assert.equal(await status({}), 401);
      assert.equal(await status({ authorization: 'Bearer bad' }), 401);
      const flyte = { 'flyte-authorization': `Bearer ${await rig.provider.accessToken({ sub: 'flyte' })}` };
      assert.equal(await status(flyte), 200);
      assert.equal(await status({}), 401);
    });

    it('keeps no refusal: who signs in a moment later gets in', async () => {
      const { cookie } = await rig.signIn();
      assert.equal(await status({ cookie: 'a=1' }), 401);
      assert.equal(await status({ cookie }), 200);
      assert.equal(await status({ cookie: 'a=1' }), 401);
    });
  });
}

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from '../flows/ask.ts';
import { startFakeRig } from '../flows/rig.ts';

// A service behind, or a route that lets everybody through to it, takes the place of the services by which SDKs find out
// where to send people's passwords, and of the one that says who somebody is.

const json = { 'content-type': 'application/json' };
const open = ['GetOAuth2Metadata', 'GetPublicClientConfig'].flatMap((method) => [
  `/flyteidl.service.AuthMetadataService/${method}`,
  `/flyteidl2.auth.AuthMetadataService/${method}`,
]);
const closed = ['/flyteidl.service.IdentityService/UserInfo', '/flyteidl2.auth.IdentityService/UserInfo'];

describe('the services that say where to sign in', () => {
  it('are ours on authorized hosts whatever the routes say, the apps’ on theirs, and nobody’s elsewhere', async () => {
    const rig = await startFakeRig({
      settings: {
        routes: [
          { host: 'app.test', path: '/', upstream: 'control-plane', access: 'public' },
          { host: 'localhost', path: '/', upstream: 'control-plane', access: 'public' },
          ...[...open, ...closed].map((path) => ({ path, upstream: 'control-plane', access: 'public' })),
        ],
      },
    });
    for (const path of [...open, ...closed]) {
      const post = (host?: string) =>
        ask(rig.url + path, { method: 'POST', fields: { ...json, ...(host && { host }) }, body: '{}' });
      assert.equal((await post()).status, closed.includes(path) ? 401 : 200);
      assert.deepEqual((await post('app.test')).json(), { error: 'nothing here', path }, 'the app answers');
      assert.equal((await post('made-up.test')).status, 403);
    }
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type FakeRig, startFakeRig } from '../flows/rig.ts';

const settings = {
  'auth.introspection.clientId': 'gateway',
  'auth.introspection.clientSecretFile': 'secrets/oidc_client_secret',
};

const send = async (rig: FakeRig, token: string) =>
  (await rig.ask('/me', { fields: { authorization: `Bearer ${token}` } })).status;

function know(rig: FakeRig, ...tokens: string[]): void {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const said = { sub: 'ada', client_id: 'native', scope: 'all', aud: rig.url, exp };
  rig.provider.behaviour.opaque = Object.fromEntries(tokens.map((token) => [token, said]));
}

describe('an introspection endpoint that is broken lets nobody in, and says “could not tell”:', () => {
  for (const [what, answer] of Object.entries({
    'a 500': { status: 500 },
    'a 401, since our client is not known': { status: 401, body: '{"error":"invalid_client"}' },
    'a page for people': { status: 200, fields: { 'content-type': 'text/html' }, body: '<html>' },
    'no JSON': { status: 200, body: '{"active":tru' },
    'a list': { status: 200, body: '[true]' },
    'no word about active': { status: 200, body: '{"sub":"ada"}' },
    'the text "true"': { status: 200, body: '{"active":"true","sub":"ada"}' },
    'the number 1': { status: 200, body: '{"active":1}' },
    'two megabytes': { status: 200, body: `{"active":true,"pad":"${'a'.repeat(1 << 21)}"}` },
    'a redirect': { status: 302, fields: { location: 'http://127.0.0.1:1/' } },
    nothing: { status: 204 },
  }))
    it(what, async () => {
      const rig = await startFakeRig({ settings });
      know(rig, 'opaque-1');
      rig.provider.behaviour.answers.introspect = answer;
      assert.equal(await send(rig, 'opaque-1'), 503);
      delete rig.provider.behaviour.answers.introspect;
      assert.equal(await send(rig, 'opaque-1'), 200, 'nobody remembers it');
    });

  it('one that hangs, for no longer than auth.timeout', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.timeout': '150ms' } });
    know(rig, 'opaque-1');
    const release = rig.provider.hold('introspect');
    assert.equal(await send(rig, 'opaque-1'), 503);
    release();
    assert.equal(await send(rig, 'opaque-1'), 200);
  });

  it('one that the metadata does not name', async () => {
    const rig = await startFakeRig({ settings, behaviour: { metadata: { introspection_endpoint: undefined } } });
    assert.equal(await send(rig, 'opaque-1'), 503);
    assert.equal(await send(rig, await rig.provider.accessToken()), 200, 'JWTs are not concerned');
  });
});

describe('whoever sends made-up tokens', () => {
  it('has so many of them asked about, one by one or at once', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.introspection.failuresPerAddress': 5 } });
    know(rig, 'opaque-1', 'opaque-2');
    assert.equal(await send(rig, 'opaque-1'), 200);
    const statuses = await Promise.all(Array.from({ length: 60 }, (_, i) => send(rig, `made-up-${i}`)));
    assert.equal(rig.provider.calls.introspect, 6);
    assert.equal(statuses.filter((status) => status === 401).length, 5);
    assert.equal(statuses.filter((status) => status === 503).length, 55, 'they may be good: nobody asked');
    assert.equal(await send(rig, 'opaque-1'), 200, 'what is known goes on');
    assert.equal(await send(rig, 'opaque-2'), 503);
    rig.move(60_000);
    assert.equal(await send(rig, 'opaque-2'), 200);
  });

  it('does not have the same one asked about twice', async () => {
    const rig = await startFakeRig({ settings });
    for (let i = 0; i < 5; i++) assert.equal(await send(rig, 'made-up'), 401);
    assert.equal(rig.provider.calls.introspect, 1);
  });

  it('costs those nothing who have good ones: as many as there are, at once, from one address', async () => {
    const rig = await startFakeRig({ settings: { ...settings, 'auth.introspection.failuresPerAddress': 2 } });
    const tokens = Array.from({ length: 60 }, (_, i) => `opaque-${i}`);
    know(rig, ...tokens);
    const statuses = await Promise.all(tokens.map((token) => send(rig, token)));
    assert.deepEqual(new Set(statuses), new Set([200]));
  });
});

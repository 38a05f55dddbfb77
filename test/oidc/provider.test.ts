import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { errors, jwtVerify } from 'jose';
import type { Failure } from '../../src/failure.ts';
import { metadataUrls } from '../../src/oidc/discovery.ts';
import { createOutbound, type Outbound } from '../../src/oidc/outbound.ts';
import { createProvider, type Provider } from '../../src/oidc/provider.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { createTestLog } from './rig.ts';

describe('where metadata is looked for', () => {
  const cases: readonly (readonly [string, string | undefined, readonly string[]])[] = [
    [
      'https://id.example.com',
      undefined,
      [
        'https://id.example.com/.well-known/openid-configuration',
        'https://id.example.com/.well-known/oauth-authorization-server',
      ],
    ],
    [
      'https://id.example.com/realms/x/',
      undefined,
      [
        'https://id.example.com/realms/x/.well-known/openid-configuration',
        'https://id.example.com/.well-known/oauth-authorization-server/realms/x',
        'https://id.example.com/realms/x/.well-known/oauth-authorization-server',
      ],
    ],
    ['https://id.example.com/x', 'own/metadata', ['https://id.example.com/x/own/metadata']],
    ['https://id.example.com/x', 'https://other.example.com/m', ['https://other.example.com/m']],
  ];
  for (const [base, own, urls] of cases) {
    it(`asks for ${base}${own ? ` with ${own}` : ''} at ${urls.length} place(s)`, () =>
      assert.deepEqual(metadataUrls(base, own), urls));
  }
});

describe('a provider', () => {
  let fake: FakeProvider;
  let outbound: Outbound;
  let ahead = 0;
  const now = () => Date.now() + ahead;
  before(async () => {
    fake = await startProvider({ path: '/realms/flyte', now });
    outbound = createOutbound({ timeoutMs: 2000, allowHttp: false });
  });
  beforeEach(() => {
    fake.behaviour.metadata = {};
    delete fake.behaviour.answers.discovery;
    delete fake.behaviour.answers.jwks;
  });
  after(async () => {
    await outbound.close();
    await fake.stop();
  });

  const create = (changes: Partial<Parameters<typeof createProvider>[0]> = {}): Provider =>
    createProvider({
      baseUrl: fake.issuer,
      retryAttempts: 1,
      retryDelayMs: 1,
      outbound,
      now,
      log: createTestLog().log,
      ...changes,
    });
  const verify = async (provider: Provider, jwt?: string) =>
    jwtVerify(jwt ?? (await fake.accessToken()), provider.keys);
  const unreachable = (failure: Failure) => failure.code === 'issuer_unreachable';
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('asks once however many wait, and keeps the answer for ten minutes', async () => {
    const provider = create();
    const asked = fake.calls.discovery;
    const all = await Promise.all(Array.from({ length: 50 }, () => provider.metadata()));
    assert.equal(new Set(all).size, 1);
    ahead += 599_000;
    await provider.metadata();
    assert.equal(fake.calls.discovery, asked + 1);
  });

  it('renews an old copy in the background, while it goes on serving', async () => {
    const provider = create();
    await provider.metadata();
    ahead += 600_001;
    const asked = fake.calls.discovery;
    fake.behaviour.metadata = { end_session_endpoint: `${fake.issuer}/new` };
    const release = fake.hold('discovery');
    assert.equal((await provider.metadata()).end_session_endpoint, `${fake.issuer}/logout`);
    release();
    await fake.whenAsked('discovery', asked + 1);
    for (let turn = 0; turn < 1000; turn += 1) {
      if ((await provider.metadata()).end_session_endpoint === `${fake.issuer}/new`) return;
      await settled();
    }
    assert.fail('the new metadata never came');
  });

  it('keeps the last good copy through an outage', async () => {
    const provider = create();
    await provider.metadata();
    await verify(provider);
    fake.behaviour.answers.discovery = { status: 503 };
    fake.behaviour.answers.jwks = { status: 503 };
    ahead += 3_600_000;
    assert.equal((await provider.metadata()).issuer, fake.issuer);
    await verify(provider);
  });

  it('leaves a provider in trouble alone for five seconds', async () => {
    const provider = create();
    fake.behaviour.answers.discovery = { status: 503 };
    await assert.rejects(provider.metadata(), unreachable);
    const asked = fake.calls.discovery;
    await assert.rejects(provider.metadata(), unreachable);
    assert.equal(fake.calls.discovery, asked);
    delete fake.behaviour.answers.discovery;
    ahead += 5000;
    await provider.metadata();
  });

  it('tries as often as the settings say, and no oftener', async () => {
    const provider = create({ retryAttempts: 3 });
    fake.behaviour.answers.discovery = { status: 503 };
    const asked = fake.calls.discovery;
    await assert.rejects(provider.metadata(), unreachable);
    assert.equal(fake.calls.discovery, asked + 3);
  });

  it('takes only metadata that names the issuer exactly, to the last slash', async () => {
    for (const issuer of [`${fake.issuer}/`, fake.issuer.toUpperCase(), 'https://evil.test', 7, undefined]) {
      fake.behaviour.metadata = { issuer };
      await assert.rejects(create().metadata(), unreachable, String(issuer));
    }
  });

  it('reaches an issuer by an internal address when the settings name it', async () => {
    fake.behaviour.metadata = { issuer: 'https://id.example.com/' };
    const provider = create({ issuerUrl: 'https://id.example.com/' });
    assert.equal((await provider.metadata()).token_endpoint, `${fake.issuer}/token`);
    assert.equal(provider.issuer, 'https://id.example.com/');
  });

  it('takes no metadata with an endpoint that must not be spoken to', async () => {
    for (const url of [
      'http://id.example.com/token',
      'javascript:alert(1)',
      'file:///etc/passwd',
      'https://u:p@id.example.com/',
      7,
    ]) {
      for (const name of ['token_endpoint', 'authorization_endpoint', 'jwks_uri', 'end_session_endpoint']) {
        fake.behaviour.metadata = { [name]: url };
        await assert.rejects(create().metadata(), unreachable, `${name} ${url}`);
      }
    }
  });

  it('takes nothing but JSON, from no redirect', async () => {
    fake.behaviour.answers.discovery = { status: 200, body: '<html>' };
    await assert.rejects(create().metadata(), unreachable);
    fake.behaviour.answers.discovery = { status: 302, fields: { location: `${fake.issuer}/jwks` } };
    await assert.rejects(create().metadata(), unreachable);
  });

  it('falls back to RFC 8414 only where there is no OpenID document, not in an outage', async () => {
    fake.behaviour.answers.discovery = { status: 404 };
    const asked = fake.calls.discovery;
    await assert.rejects(create().metadata(), unreachable);
    assert.equal(fake.calls.discovery, asked + 2);
    fake.behaviour.answers.discovery = { status: 500 };
    await assert.rejects(create().metadata(), unreachable);
    assert.equal(fake.calls.discovery, asked + 3);
  });

  const couldNotTell = (failure: Failure) => failure.code === 'keys_unreachable';
  const madeUp = (kid: string) => fake.sign({}, { kid });

  it('asks for an unknown kid at once, shared by all who wait, and again when it was not there', async () => {
    const provider = create();
    await verify(provider);
    await fake.rotateKeys({ keepOld: false });
    const asked = fake.calls.jwks;
    const jwt = await fake.accessToken();
    await Promise.all(Array.from({ length: 50 }, () => verify(provider, jwt)));
    assert.equal(fake.calls.jwks, asked + 1);
    const strange = await madeUp('made-up');
    for (const [aheadMs, askedSince] of [
      [0, 1],
      [4900, 0],
      [200, 1],
      [9900, 0],
      [200, 1],
      [19_700, 0],
      [400, 1],
    ] as const) {
      const before = fake.calls.jwks;
      ahead += aheadMs;
      await assert.rejects(verify(provider, strange), errors.JWKSNoMatchingKey);
      assert.equal(fake.calls.jwks - before, askedSince, `${aheadMs} ms later`);
    }
  });

  it('finds a new key at once, whatever kids were asked for a moment before', async () => {
    const provider = create();
    await verify(provider);
    for (const kid of ['a', 'b', 'c', 'd']) await assert.rejects(verify(provider, await madeUp(kid)));
    await fake.rotateKeys({ keepOld: false });
    await verify(provider);
  });

  it('says that it could not tell, and no no, of a kid that it may not ask for now', async () => {
    const provider = create();
    await verify(provider);
    const asked = fake.calls.jwks;
    for (let n = 0; n < 5; n += 1)
      await assert.rejects(verify(provider, await madeUp(`m${n}`)), errors.JWKSNoMatchingKey);
    for (let n = 5; n < 20; n += 1) await assert.rejects(verify(provider, await madeUp(`m${n}`)), couldNotTell);
    assert.equal(fake.calls.jwks, asked + 5);
    await fake.rotateKeys({ keepOld: false });
    const fresh = await fake.accessToken();
    await assert.rejects(verify(provider, fresh), couldNotTell);
    ahead += 6000;
    await verify(provider, fresh);
    assert.equal(fake.calls.jwks, asked + 6);
    await assert.rejects(verify(provider, await madeUp('m19')), errors.JWKSNoMatchingKey, 'which settled the others');
    assert.equal(fake.calls.jwks, asked + 6);
  });

  it('lets nobody wait for an answer that is older than their kid', async () => {
    const provider = create();
    await verify(provider);
    const asked = fake.calls.jwks;
    const release = fake.hold('jwks');
    const early = assert.rejects(verify(provider, await madeUp('made-up')), errors.JWKSNoMatchingKey);
    await fake.whenAsked('jwks', asked + 1);
    // What is held answers with the keys of now.
    const old = fake.publicJwk();
    fake.behaviour.answers.jwks = { status: 200, body: JSON.stringify({ keys: [old] }) };
    await fake.rotateKeys({ keepOld: false });
    const waiting = verify(provider, await fake.accessToken());
    release();
    const releaseSecond = fake.hold('jwks');
    await early;
    delete fake.behaviour.answers.jwks;
    releaseSecond();
    await waiting;
  });

  it('could not tell when an unknown kid cannot be asked for, and goes on with the keys it has', async () => {
    const provider = create();
    const old = await fake.accessToken();
    await verify(provider, old);
    await fake.rotateKeys({ keepOld: false });
    fake.behaviour.answers.jwks = { status: 503 };
    const fresh = await fake.accessToken();
    for (let n = 0; n < 2; n += 1) {
      await assert.rejects(verify(provider, fresh), (failure: Failure) => failure.code === 'keys_unreachable');
      await verify(provider, old);
    }
  });

  it('could not tell when there were never any keys', async () => {
    for (const body of ['', '[]', '{"keys":7}', '{"keys":[7]}', 'x'.repeat(2_000_000)]) {
      fake.behaviour.answers.jwks = { status: 200, body };
      await assert.rejects(
        verify(create()),
        (failure: Failure) => failure.code === 'keys_unreachable',
        body.slice(0, 20),
      );
    }
  });
});

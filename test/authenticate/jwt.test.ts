import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Failure } from '../../src/failure.ts';
import { T0 } from '../session/fixtures.ts';
import {
  accessClaims,
  createIssuer,
  createRecordedLog,
  ISSUER,
  NOW_S,
  PUBLIC_URL,
  tokenProof,
  without,
} from './fixtures.ts';

describe('an access token of an issuer that is out of reach', async () => {
  const issuer = await createIssuer();
  const cause = new Failure('issuer_unreachable', 'down');
  const kind = async (outage: () => Promise<Failure | undefined>, changes: object) =>
    (await tokenProof(issuer, { outage })(await issuer.sign(accessClaims({ ...changes })))).kind;

  it('cannot be told when it has expired, as long as nobody could get a new one', async () => {
    const said = await tokenProof(issuer, { outage: async () => cause })(
      await issuer.sign(accessClaims({ exp: NOW_S - 3600 })),
    );
    assert.deepEqual(said, { kind: 'unavailable', cause });
    assert.equal(await kind(async () => undefined, { exp: NOW_S - 3600 }), 'rejected');
  });

  for (const [what, changes] of Object.entries({
    'is not valid yet': { nbf: NOW_S + 3600 },
    'is for somebody else': { aud: 'https://elsewhere.example.com', exp: NOW_S - 3600 },
  })) {
    it(`is refused when it ${what}, and its issuer is not asked`, async () => {
      const ask = () => assert.fail('asked');
      assert.equal(await kind(ask, changes), 'rejected');
    });
  }

  it('is as good as ever while it lives', async () => {
    assert.equal(await kind(async () => cause, {}), 'proven');
  });
});

describe('an access token', async () => {
  const issuer = await createIssuer();
  const prove = tokenProof(issuer);
  const proveClaims = async (claims: object, header?: object) => prove(await issuer.sign(claims, header));
  const why = async (claims: object, header?: object) => {
    const said = await proveClaims(claims, header);
    return said.kind === 'rejected' ? said.why : said.kind;
  };

  it('proves who is asking', async () => {
    const claims = accessClaims({
      email: 'ming@example.com',
      email_verified: true,
      groups: ['a'],
      department: 'research',
      secret_claim: 'not named',
    });
    assert.deepEqual(await proveClaims(claims), {
      kind: 'proven',
      until: T0 + 3_600_000,
      identity: {
        issuer: ISSUER,
        subject: 'user-1',
        kind: 'person',
        clientId: 'flytectl',
        email: 'ming@example.com',
        emailVerified: true,
        groups: ['a'],
        scopes: ['openid', 'all'],
        claims: { department: 'research' },
        expiresAt: T0 + 3_600_000,
      },
      bearer: { kind: 'as-sent' },
    });
  });

  it('may be signed with an elliptic curve', async () => {
    assert.equal(await why(accessClaims(), { alg: 'ES256', kid: 'ec-1' }), 'proven');
  });

  for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'JWT', 'jwt', undefined])
    it(`may call itself ${typ}`, async () => assert.equal(await why(accessClaims(), { typ }), 'proven'));

  for (const [what, aud] of [
    ['the public URL', PUBLIC_URL],
    ['the public URL with a trailing slash', `${PUBLIC_URL}/`],
    ['the public URL with its default port', `${PUBLIC_URL}:443`],
    ['another authorized URI, spelt as flyteadmin is told it', 'http://flyteadmin:80'],
    ['an allowed audience', 'api://flyte'],
    ['one of ours among others', ['https://other.example.com', 'api://flyte']],
  ])
    it(`may be for ${what}`, async () => assert.equal(await why(accessClaims({ aud })), 'proven'));

  for (const aud of [
    'https://flyte.example.com.evil.test',
    'https://flyte.example.com:8443',
    'http://flyte.example.com',
    'https://flyte.example.com/console',
    'https://FLYTE.example.com',
    'api://flyte/',
    'api',
    ['https://other.example.com'],
  ])
    it(`is not for us when its audience is ${aud}`, async () =>
      assert.equal(await why(accessClaims({ aud })), 'token_untrusted'));

  for (const [moment, changes] of [
    ['expired 59 s ago', { exp: NOW_S - 59 }],
    ['begins in 60 s', { nbf: NOW_S + 60 }],
    ['was issued 60 s from now', { iat: NOW_S + 60 }],
  ] as const)
    it(`is forgiven for a clock apart: ${moment}`, async () =>
      assert.equal(await why(accessClaims(changes)), 'proven'));

  for (const [moment, changes] of [
    ['expired 60 s ago', { exp: NOW_S - 60 }],
    ['begins in 61 s', { nbf: NOW_S + 61 }],
    ['was issued 61 s from now', { iat: NOW_S + 61 }],
  ] as const)
    it(`is dead when it ${moment}`, async () => assert.equal(await why(accessClaims(changes)), 'token_expired'));

  it('is not remembered as a no when only our clock is behind', async () => {
    const said = await proveClaims(accessClaims({ nbf: NOW_S + 61 }));
    assert.deepEqual(said, { kind: 'rejected', why: 'token_expired', passing: true });
  });

  it('that lives on leeway is proved until the moment it expired, so that it is not remembered', async () => {
    const said = await proveClaims(accessClaims({ exp: NOW_S - 30 }));
    assert.equal(said.kind === 'proven' && said.until, T0 - 30_000);
  });

  it('with a key that the issuer does not have is refused, for the moment only', async () => {
    assert.deepEqual(await proveClaims(accessClaims(), { kid: 'unknown' }), {
      kind: 'rejected',
      why: 'token_untrusted',
      passing: true,
    });
  });

  it('of an issuer that names no keys is tried with each', async () => {
    const unnamed = await createIssuer({});
    const said = await tokenProof(unnamed)(await unnamed.sign(accessClaims()));
    assert.equal(said.kind, 'proven');
  });

  it('without a kid is tried with each key that could be meant', async () => {
    const [first, second] = [await createIssuer(), await createIssuer({ rsa: 'rsa-2', ec: 'ec-2' })];
    const { createLocalJWKSet } = await import('jose');
    const proveBoth = tokenProof({ keys: createLocalJWKSet({ keys: [first.rsaJwk, second.rsaJwk] }) });
    assert.equal((await proveBoth(await second.sign(accessClaims(), { kid: undefined }))).kind, 'proven');
    const stranger = await createIssuer();
    assert.deepEqual(await proveBoth(await stranger.sign(accessClaims(), { kid: undefined })), {
      kind: 'rejected',
      why: 'token_untrusted',
    });
  });

  it('cannot be judged when its keys cannot be asked for', async () => {
    const cause = new Failure('keys_unreachable', 'no keys');
    const keys = () => Promise.reject(cause);
    assert.deepEqual(await tokenProof({ keys })(await issuer.sign(accessClaims())), { kind: 'unavailable', cause });
  });

  it('cannot be judged when the issuer cannot be told', async () => {
    const cause = new Failure('issuer_unreachable', 'no metadata');
    const unknown = tokenProof(issuer, { issuer: () => Promise.reject(cause) });
    assert.deepEqual(await unknown(await issuer.sign(accessClaims())), { kind: 'unavailable', cause });
  });

  it('cannot be judged when finding its key goes wrong in a way nobody thought of', async () => {
    const said = await tokenProof({ keys: () => Promise.reject(new Error('surprise')) })(
      await issuer.sign(accessClaims()),
    );
    assert.equal(said.kind === 'unavailable' && said.cause.code, 'internal');
  });

  it('that is refused is explained in the log, without the token', async () => {
    const { log, lines } = createRecordedLog();
    const token = await issuer.sign(accessClaims({ aud: 'somebody-else' }));
    await tokenProof(issuer, { log })(token);
    const facts = { why: 'token_untrusted', because: 'aud', found: '"somebody-else"' };
    assert.deepEqual(lines, [{ level: 'info', event: 'token.rejected', facts }]);
    assert.ok(!JSON.stringify(lines).includes(token.split('.')[2] ?? ''));
  });
});

describe('the bearer of an access token', async () => {
  const issuer = await createIssuer();
  const identityOf = async (claims: object) => {
    const said = await tokenProof(issuer)(await issuer.sign(claims));
    return said.kind === 'proven' ? said.identity : said;
  };
  const scopesOf = async (claims: object) => {
    const identity = await identityOf(claims);
    return 'scopes' in identity ? identity.scopes : identity;
  };

  for (const [server, changes] of [
    ['RFC 9068', { sub: 'service', client_id: 'service' }],
    ['Okta', { sub: 'service', cid: 'service', client_id: undefined }],
    ['Auth0', { sub: 'service@clients', azp: 'service', gty: 'client-credentials', client_id: undefined }],
    ['Entra', { sub: 'c0ffee', azp: 'service', idtyp: 'app', client_id: undefined }],
    ['Keycloak', { sub: 'c0ffee', azp: 'service', client_id: 'service', clientAddress: '10.0.0.1' }],
    ['an issuer that leaves sub out', { sub: undefined, client_id: 'service', grant_type: 'client_credentials' }],
  ] as const)
    it(`is an app when ${server} says so`, async () => {
      const identity = await identityOf(accessClaims(changes));
      assert.equal(identity.kind, 'app');
      assert.equal('clientId' in identity && identity.clientId, 'service');
    });

  it('is a person when the subject is not the client', async () => {
    assert.equal((await identityOf(accessClaims())).kind, 'person');
  });

  it('never turns into the app they came by, when sub is left out', async () => {
    assert.deepEqual(await identityOf(without(accessClaims(), 'sub')), { kind: 'rejected', why: 'token_malformed' });
  });

  for (const sub of ['', 7, null, ['a'], 'a\u0000b', 'a\nb', 'x'.repeat(256)])
    it(`has no name when sub is ${JSON.stringify(sub).slice(0, 20)}`, async () =>
      assert.deepEqual(await identityOf(accessClaims({ sub })), { kind: 'rejected', why: 'token_malformed' }));

  for (const [what, changes, scopes] of [
    ['scp as a list', { scp: ['all', 'x'], scope: undefined }, ['all', 'x']],
    ['scp as words', { scp: 'all x', scope: undefined }, ['all', 'x']],
    ['scope as a list', { scope: ['all'] }, ['all']],
    ['scp before scope', { scp: ['x'], scope: 'all' }, ['x']],
    ['neither, with a client', { scope: undefined }, []],
    ['neither and no client', { scope: undefined, client_id: undefined }, ['all']],
    ['an empty scope and no client', { scope: '', client_id: undefined }, []],
  ] as const)
    it(`has the scopes of ${what}`, async () => assert.deepEqual(await scopesOf(accessClaims(changes)), scopes));

  for (const scope of [7, { all: true }, ['all', 7]])
    it(`is refused when scope is ${JSON.stringify(scope)}`, async () =>
      assert.deepEqual(await scopesOf(accessClaims({ scope })), { kind: 'rejected', why: 'token_malformed' }));
});

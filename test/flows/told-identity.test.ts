import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { type EchoUpstream, type Received, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from './rig.ts';
import { oneOf, toldOf, upstreamsAt } from './told.ts';

const modes = {
  unset: {},
  proxy: { identityHeaders: ['auth-request'] },
  admin: { identityHeaders: ['flyteadmin'] },
  balancer: { identityHeaders: ['alb'] },
  asserted: { identityHeaders: ['assertion'] },
  all: { identityHeaders: ['assertion', 'alb', 'flyteadmin', 'auth-request'] },
  silent: { identityHeaders: [] },
} as const;

const person = {
  sub: 'ada',
  name: 'Ada Lovelace',
  given_name: 'Ada',
  family_name: 'Lovelace',
  preferred_username: '王',
  email: 'ada@example.com',
  email_verified: true,
  groups: ['a', 'b c', 'x,admins'],
  department: '研究',
  idp: 'somebody else',
};

const pem = makeAssertionKey();
const jwksPath = '/.well-known/flytegate/jwks.json';

let upstream: EchoUpstream;
let rig: FakeRig;
let cookie: string;
before(async () => {
  upstream = await startEchoUpstream();
  endLater(upstream.close);
  rig = await startFakeRig({
    behaviour: { person, accessTokenTtlS: 86_400 },
    files: { 'secrets/assertion_key': pem },
    settings: {
      ...upstreamsAt(upstream.url, modes),
      'identityHeaders.claims': ['department', 'idp'],
      'decisionCache.maxAge': '15m',
    },
  });
  ({ cookie } = await rig.signIn('/unset'));
});

/** Asks and says what arrived. */
async function arrivedAt(name: string, fields: Record<string, string> = { cookie }): Promise<Received> {
  const arriving = upstream.next();
  assert.equal((await rig.ask(`/${name}`, { fields })).status, 200);
  return arriving;
}

async function assertionTo(name: string, fields?: Record<string, string>): Promise<string> {
  const header = name === 'balancer' ? 'x-amzn-oidc-data' : 'x-flytegate-assertion';
  return oneOf(await arrivedAt(name, fields), header) ?? assert.fail('no assertion');
}

const published = async () => createLocalJWKSet((await rig.ask(jwksPath)).json() as unknown as JSONWebKeySet);

const authRequest = [
  ['X-Auth-Request-User', 'ada'],
  ['X-Auth-Request-Email', 'ada@example.com'],
  ['X-Auth-Request-Preferred-Username', '王'],
] as const;
const groups = [['X-Auth-Request-Groups', 'a,b c']] as const;
const flyteadmin = [
  ['X-User-Subject', 'ada'],
  ['X-User-Claim-department', '"研究"'],
  ['X-User-Claim-idp', '"somebody else"'],
] as const;
const jwt = 'a JWT';

describe('a service behind is told who is asking', () => {
  for (const [name, expected] of [
    ['unset', [...authRequest, ...flyteadmin, ...groups]],
    ['proxy', [...authRequest, ...groups]],
    ['admin', flyteadmin],
    [
      'balancer',
      [
        ['X-Amzn-Oidc-Identity', 'ada'],
        ['X-Amzn-Oidc-Data', jwt],
      ],
    ],
    ['asserted', [['X-Flytegate-Assertion', jwt]]],
    [
      'all',
      [
        ...authRequest,
        ...flyteadmin,
        ['X-Amzn-Oidc-Identity', 'ada'],
        ...groups,
        ['X-Amzn-Oidc-Data', jwt],
        ['X-Flytegate-Assertion', jwt],
      ],
    ],
    ['silent', []],
  ] as const)
    it(`as its identityHeaders say: ${name}`, async () => {
      const arrived = toldOf(await arrivedAt(name));
      assert.deepEqual(
        arrived.map(([header, value]) => [header, /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(value) ? jwt : value]),
        expected,
      );
    });

  it('while /me says the same whatever upstreams are told', async () => {
    const { fields } = await rig.ask('/me', { fields: { cookie } });
    const names = fields
      .filter((_, i) => i % 2 === 0)
      .filter((header) => /^x-(auth|user|amzn|flytegate)/i.test(header));
    assert.deepEqual(names.sort(), [...authRequest, ...flyteadmin, ...groups].map(([header]) => header).sort());
  });
});

describe('an assertion', () => {
  it('verifies by the published keys, from us, for this upstream, for five minutes', async () => {
    const token = await assertionTo('asserted');
    const keys = createRemoteJWKSet(new URL(rig.url + jwksPath));
    const verified = await jwtVerify(token, keys, { issuer: rig.url, audience: 'asserted', algorithms: ['ES256'] });
    const { iat = 0, exp = 0, jti, ...claims } = verified.payload;
    assert.deepEqual(claims, {
      iss: rig.url,
      aud: 'asserted',
      sub: 'ada',
      idp: rig.issuer,
      name: 'Ada Lovelace',
      given_name: 'Ada',
      family_name: 'Lovelace',
      preferred_username: '王',
      email: 'ada@example.com',
      email_verified: true,
      groups: ['a', 'b c'],
      department: '研究',
    });
    assert.equal(exp - iat, 300);
    assert.match(jti ?? '', /^[0-9a-f-]{36}$/);
  });

  it('is what a load balancer would send, too, and one of its own for each upstream', async () => {
    const forBalancer = await assertionTo('balancer');
    assert.equal(decodeJwt(forBalancer).aud, 'balancer');
    const keys = await published();
    await jwtVerify(forBalancer, keys, { issuer: rig.url, audience: 'balancer' });
    await assert.rejects(jwtVerify(forBalancer, keys, { issuer: rig.url, audience: 'asserted' }), {
      code: 'ERR_JWT_CLAIM_VALIDATION_FAILED',
    });
    const both = await arrivedAt('all');
    assert.equal(oneOf(both, 'x-amzn-oidc-data'), oneOf(both, 'x-flytegate-assertion'));
  });

  it('is no credential: neither /me nor a route takes it for an access token', async () => {
    const authorization = `Bearer ${await assertionTo('asserted')}`;
    for (const path of ['/me', '/asserted'])
      assert.equal((await rig.ask(path, { fields: { authorization } })).status, 401);
  });

  it('is made once for all requests at once, and reused until a fifth of its life is left', async () => {
    const { cookie: fresh } = await rig.signIn('/unset');
    const from = upstream.requests.length;
    await Promise.all(Array.from({ length: 50 }, () => rig.ask('/asserted', { fields: { cookie: fresh } })));
    const said = new Set(upstream.requests.slice(from).map((one) => oneOf(one, 'x-flytegate-assertion')));
    assert.equal(said.size, 1);
    const [first = ''] = said;
    rig.move(230_000);
    assert.equal(await assertionTo('asserted', { cookie: fresh }), first);
    rig.move(15_000);
    const second = await assertionTo('asserted', { cookie: fresh });
    assert.notEqual(second, first);
    const [before, after] = [decodeJwt(first), decodeJwt(second)];
    assert.ok((after.iat ?? 0) < (before.exp ?? 0), 'the new one came before the old one died');
    assert.notEqual(after.jti, before.jti);
  });

  it('of an app says which', async () => {
    const authorization = `Bearer ${await rig.provider.accessToken({ sub: 'cron', client_id: 'cron' })}`;
    const { sub, client_id, email, groups: none } = decodeJwt(await assertionTo('asserted', { authorization }));
    assert.deepEqual(
      { sub, client_id, email, none },
      { sub: 'cron', client_id: 'cron', email: undefined, none: undefined },
    );
  });

  it('outlives a token that is about to die by seconds at most', async () => {
    const exp = Math.floor((decodeJwt(await rig.provider.accessToken()).iat ?? 0) + 100);
    const authorization = `Bearer ${await rig.provider.accessToken({ exp })}`;
    assert.equal(decodeJwt(await assertionTo('asserted', { authorization })).exp, exp);
  });

  it('holds no e-mail that is not verified, and no groups over 1 KiB', async () => {
    const said = { sub: 'ada', email: 'ada@example.com', email_verified: false, groups: Array(200).fill('a group') };
    const authorization = `Bearer ${await rig.provider.accessToken(said)}`;
    const claims = decodeJwt(await assertionTo('asserted', { authorization }));
    assert.deepEqual([claims['email'], claims['email_verified'], claims['groups']], [undefined, undefined, undefined]);
    assert.equal(claims.sub, 'ada');
  });

  it('about a subject that cannot be said in a header is not made', async () => {
    for (const sub of [' ada', 'ada ']) {
      const authorization = `Bearer ${await rig.provider.accessToken({ sub })}`;
      assert.deepEqual(toldOf(await arrivedAt('asserted', { authorization })), [['authorization', authorization]]);
    }
  });
});

describe('the published keys', () => {
  it('are for everybody, shortly kept, and public halves only', async () => {
    const answer = await rig.ask(jwksPath);
    assert.equal(answer.status, 200);
    assert.equal(answer.one('cache-control'), 'public, max-age=300');
    assert.equal(answer.one('content-type'), 'application/json');
    assert.deepEqual(answer.all('set-cookie'), []);
    const [key, second] = answer.json()['keys'] as Record<string, unknown>[];
    assert.equal(second, undefined);
    assert.deepEqual(Object.keys(key ?? {}).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
    assert.equal((await rig.ask(jwksPath, { method: 'POST' })).status, 405);
  });

  it('are at no other host than ours', async () => {
    const { status } = await rig.ask(jwksPath, { fields: { host: 'apps.example.com' } });
    assert.equal(status, 404);
  });
});

describe('a rotation of assertion keys', () => {
  const fresh = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const write = async (...pems: readonly string[]) => {
    await writeFile(join(rig.settings.folder, 'secrets/assertion_key'), pems.join(''));
    await rig.restart();
  };
  const options = () => ({ issuer: rig.url, audience: 'asserted', clockTolerance: 3600 });

  it('publishes a key before it signs, and the old one after it signed', async () => {
    const old = await assertionTo('asserted');
    await write(pem, fresh);
    const early = await published();
    assert.equal(decodeProtectedHeader(await assertionTo('asserted')).alg, 'ES256');
    await write(fresh, pem);
    const now = await assertionTo('asserted');
    assert.equal(decodeProtectedHeader(now).alg, 'EdDSA');
    // Whoever fetched the keys before the change, and whoever does it after, knows both.
    for (const keys of [early, await published()])
      for (const token of [old, now]) await jwtVerify(token, keys, options());
  });

  it('ends with the old key gone', async () => {
    const old = await assertionTo('asserted');
    await write(makeAssertionKey());
    await assert.rejects(jwtVerify(old, await published(), options()), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
    await jwtVerify(await assertionTo('asserted'), await published(), options());
  });
});

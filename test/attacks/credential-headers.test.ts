import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCredentialGate } from '../access/credential-gate.ts';
import { accessClaims } from '../authenticate/fixtures.ts';
import { session } from '../session/fixtures.ts';

const gate = await createCredentialGate();
const cookie = `${gate.cookies.sessionName}=${await gate.store.create(session())}`;
const one = `Bearer ${await gate.issuer.sign(accessClaims({ sub: 'one' }))}`;
const two = `Bearer ${await gate.issuer.sign(accessClaims({ sub: 'two' }))}`;

/** Who a request with these fields counts as, or the status it is refused with. */
async function who(...raw: string[]): Promise<string | number> {
  const { status, decision } = await gate.ask(...raw);
  return decision?.kind === 'allow' ? decision.identity.subject : status;
}

it('The credentials that all these are made from are good', async () => {
  assert.deepEqual(
    [await who('authorization', one), await who('flyte-authorization', two), await who('cookie', cookie)],
    ['one', 'two', 'user-1'],
  );
});

describe('the same header twice is 400,', () => {
  for (const [what, raw] of [
    ['both good', ['authorization', one, 'authorization', two]],
    ['both the same', ['authorization', one, 'Authorization', one]],
    ['one of them empty', ['authorization', one, 'AUTHORIZATION', '']],
    ['one of another scheme', ['authorization', 'Basic dTpw', 'authorization', one]],
    ['the flyte header', ['flyte-authorization', one, 'Flyte-Authorization', two]],
    [
      'the flyte header beside a good authorization',
      ['flyte-authorization', one, 'flyte-authorization', one, 'authorization', one],
    ],
    ['beside a good cookie', ['authorization', one, 'cookie', cookie, 'authorization', one]],
  ] as const)
    it(what, async () => assert.equal(await who(...raw), 400));
});

describe('two headers', () => {
  it('with different bearers are 401, whichever comes first', async () => {
    assert.equal(await who('authorization', one, 'flyte-authorization', two), 401);
    assert.equal(await who('flyte-authorization', two, 'authorization', one), 401);
  });

  it('of which one is no token are 401', async () => {
    assert.equal(await who('authorization', one, 'flyte-authorization', 'Bearer garbage'), 401);
    assert.equal(await who('authorization', one, 'flyte-authorization', 'Bearer'), 401);
    assert.equal(await who('authorization', 'Bearer', 'flyte-authorization', two), 401);
    assert.equal(await who('authorization', one, 'flyte-authorization', 'Basic dTpw'), 401);
  });

  it('with the same bearer are one', async () => {
    assert.equal(await who('authorization', one, 'flyte-authorization', one), 'one');
  });

  it('are the bearer when authorization has another scheme', async () => {
    assert.equal(await who('authorization', 'Basic dTpw', 'flyte-authorization', two), 'two');
  });
});

describe('a bearer beside a good cookie decides alone', () => {
  for (const header of ['authorization', 'flyte-authorization'])
    for (const value of ['Bearer garbage', 'Bearer', 'bearer ', `${one} `.slice(0, -5), `${one}, ${two}`, `${one} x`])
      it(`also when it is no good: ${header}: ${value.slice(0, 20)}`, async () =>
        assert.equal(await who(header, value, 'cookie', cookie), 401));

  it('and when it is good', async () => assert.equal(await who('cookie', cookie, 'authorization', one), 'one'));
});

describe('what is remembered of one request', () => {
  it('lets no other in that has only part of it', async () => {
    assert.equal(await who('cookie', cookie, 'authorization', one), 'one');
    assert.equal(await who('cookie', `${cookie}x`), 401);
    assert.equal(await who('authorization', 'Bearer x', 'cookie', cookie), 401);
    assert.equal(await who('authorization', one.replace('Bearer ', 'Basic '), 'cookie', ''), 401);
    assert.equal(await who('proxy-authorization', one), 401);
    assert.equal(await who('x-authorization', one), 401);
    assert.equal(await who('flyte_authorization', one), 401);
  });

  it('does not take a cookie for a token, or a token for a cookie', async () => {
    const value = cookie.slice(cookie.indexOf('=') + 1);
    assert.equal(await who('authorization', `Bearer ${value}`), 401);
    assert.equal(await who('cookie', `${gate.cookies.sessionName}=${one.slice('Bearer '.length)}`), 401);
  });
});

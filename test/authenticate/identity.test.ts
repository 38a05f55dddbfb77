import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { identityOfSession, identityOfToken } from '../../src/authenticate/identity.ts';
import { marksOf } from '../../src/session/marks.ts';
import { session, T0 } from '../session/fixtures.ts';

const settings = { trustUnverifiedEmail: false, claims: ['department'] };
const trusting = { ...settings, trustUnverifiedEmail: true };
const proof = { issuer: 'https://id.example.com', subject: 'a', kind: 'person', scopes: [], expiresAt: T0 } as const;

describe('the identity of a session', () => {
  it('says all that the session knows of a person', () => {
    assert.deepEqual(identityOfSession(session(), T0 + 1, settings), {
      issuer: 'https://id.example.com/realms/flyte',
      subject: 'user-1',
      kind: 'person',
      name: '王小明',
      preferredUsername: 'ming',
      email: 'ming@example.com',
      emailVerified: true,
      groups: ['admins', 'ml'],
      scopes: [],
      claims: { department: 'research' },
      session: marksOf(session()),
      expiresAt: T0 + 1,
    });
  });

  it('lets no further claim pass for a standard one', () => {
    const claims = { sub: 'a', email: 'a@b.test', additional: { email: 'evil@b.test', email_verified: true } };
    const identity = identityOfSession(session({ claims }), T0, { ...settings, claims: ['email', 'sub'] });
    assert.equal(identity.email, 'a@b.test');
    assert.deepEqual(identity.claims, { email: 'a@b.test', sub: 'a' });
  });
});

describe('an e-mail', () => {
  const isVerified = (claims: object, by = settings) => identityOfToken({ ...claims }, proof, by).emailVerified;

  it('is verified by a true of JSON only', () => {
    assert.equal(isVerified({ email: 'a@b.test', email_verified: true }), true);
  });

  for (const said of [false, 'true', 'false', 1, 0, null, [], {}])
    it(`is unverified when the provider says ${JSON.stringify(said)}, whatever the setting`, () => {
      assert.equal(isVerified({ email: 'a@b.test', email_verified: said }), false);
      assert.equal(isVerified({ email: 'a@b.test', email_verified: said }, trusting), false);
    });

  it('is as verified as the setting says when the provider says nothing', () => {
    assert.equal(isVerified({ email: 'a@b.test' }), false);
    assert.equal(isVerified({ email: 'a@b.test' }, trusting), true);
  });

  it('that is absent is not verified', () => assert.equal(isVerified({ email_verified: true }), false));

  for (const address of ['a@b.test', 'first.last+tag@sub.example.com', "o'hara@example.com", '王@例え.jp', 'a@corp'])
    it(`may be ${address}`, () => assert.equal(isVerified({ email: address, email_verified: true }), true));

  for (const address of [
    'a@evil@corp.com',
    '"a@evil"@corp.com',
    'a@corp.com,b@corp.com',
    'a@corp.com b@corp.com',
    ' a@corp.com',
    'a@corp.com\n',
    'a@corp.com\u0000',
    'Ming <a@corp.com>',
    'a@corp.com(comment)',
    'a\uff20evil@corp.com',
    'a@corp..com',
    'a@.corp.com',
    'a@',
    '@corp.com',
    'corp.com',
    `${'a'.repeat(250)}@b.test`,
  ])
    it(`is unverified when it is ${JSON.stringify(address).slice(0, 40)}, and still shown`, () => {
      const identity = identityOfToken({ email: address, email_verified: true }, proof, trusting);
      assert.deepEqual([identity.emailVerified, identity.email], [false, address]);
    });
});

describe('claims of the wrong type', () => {
  for (const claims of [
    { name: 7, groups: 'admins', department: { a: 1 } },
    { name: '', groups: ['a', 7], department: [1] },
    { name: null, groups: { 0: 'a' }, department: null },
  ])
    it(`are as good as absent: ${JSON.stringify(claims)}`, () => {
      const identity = identityOfToken(claims, proof, settings);
      assert.deepEqual(identity, { ...proof, emailVerified: false, groups: [], claims: {} });
    });

  it('are not looked for on the prototype', () => {
    const identity = identityOfToken({}, proof, { ...settings, claims: ['toString', '__proto__', 'constructor'] });
    assert.deepEqual(identity.claims, {});
  });
});

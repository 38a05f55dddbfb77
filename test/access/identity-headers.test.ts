import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  createIdentityHeaders,
  createIsIdentityHeader,
  onceForIdentity,
  RECENT_IDENTITIES,
} from '../../src/access/identity-headers.ts';
import type { Identity } from '../../src/authenticate/identity.ts';
import { createRecordedLog } from '../authenticate/fixtures.ts';
import { app, person } from './fixtures.ts';

function setUp(claims: readonly string[] = []) {
  const { log, lines } = createRecordedLog();
  const make = createIdentityHeaders({ claims, log });
  const headersOf = (identity: Identity) => {
    const flat = make(identity);
    const pairs: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2)
      pairs.push([flat[i] ?? '', Buffer.from(flat[i + 1] ?? '', 'latin1').toString('utf8')]);
    return Object.fromEntries(pairs);
  };
  return { make, headersOf, lines };
}

describe('identity headers', () => {
  it('tell who a person is', () => {
    const { headersOf } = setUp(['department', 'cost_center', 'teams', 'vip']);
    const claims = { department: '研究', cost_center: 7, teams: ['a', 'b'], vip: true, other: 'unnamed' };
    assert.deepEqual(headersOf(person({ preferredUsername: '王', groups: ['a', 'b c'], claims })), {
      'X-Auth-Request-User': 'user-1',
      'X-Auth-Request-Email': 'ming@example.com',
      'X-Auth-Request-Groups': 'a,b c',
      'X-Auth-Request-Preferred-Username': '王',
      'X-User-Subject': 'user-1',
      'X-User-Claim-department': '"研究"',
      'X-User-Claim-cost-center': '7',
      'X-User-Claim-teams': '["a","b"]',
      'X-User-Claim-vip': 'true',
    });
  });

  it('are absent for what is absent', () => {
    const { headersOf } = setUp(['department']);
    const headers = headersOf(app({ groups: [] }));
    assert.deepEqual(headers, { 'X-Auth-Request-User': 'service', 'X-User-Subject': 'service' });
  });

  it('hold no e-mail that is not verified', () => {
    assert.equal('X-Auth-Request-Email' in setUp().headersOf(person({ emailVerified: false })), false);
  });

  it('are bytes that Node can write: UTF-8 as latin1', () => {
    const { make } = setUp();
    assert.ok(make(person({ preferredUsername: '王小明 🐟' })).every((text) => /^[\x20-\x7e\x80-\xff]+$/.test(text)));
  });

  it('can be made once for an identity', () => {
    const make = onceForIdentity(setUp().make);
    const identity = person();
    assert.equal(make(identity), make(identity));
    assert.notEqual(make(identity), make(person()));
  });

  it('leave out groups that could be taken for others, and say so once', () => {
    const { headersOf, lines } = setUp();
    const groups = ['good', 'x,admins', 'y\nz', '', ' padded', 'fine'];
    for (let times = 0; times < 3; times++)
      assert.equal(headersOf(person({ groups }))['X-Auth-Request-Groups'], 'good,fine');
    assert.deepEqual(
      lines.map(({ level, event, facts: { header } }) => [level, event, header]),
      [['warn', 'identity.header_left_out', 'X-Auth-Request-Groups']],
    );
  });

  it('leave out groups over 1 KiB altogether', () => {
    const { headersOf, lines } = setUp();
    assert.equal('X-Auth-Request-Groups' in headersOf(person({ groups: Array(200).fill('group') })), false);
    assert.equal(lines.length, 1);
    assert.equal(headersOf(person({ groups: ['g'.repeat(1024)] }))['X-Auth-Request-Groups']?.length, 1024);
  });

  it('have 8 KiB for all claims together, in the order of the settings, and say once who has more', () => {
    const names = Array.from({ length: 20 }, (_, at) => `claim-${at + 10}`);
    const { make, lines } = setUp([...names, 'huge', 'small']);
    // In UTF-8 three bytes each: what counts is what goes out.
    const claims = Object.fromEntries(names.map((name) => [name, '王'.repeat(300)]));
    const told = () => make(person({ claims: { ...claims, huge: 'x'.repeat(1100), small: 'fits' } }));
    const own = told().flatMap((name, at, all) =>
      name.startsWith('X-User-Claim-') ? [[name, all[at + 1] ?? '']] : [],
    );
    assert.deepEqual(
      own.map(([name]) => name?.slice(13)),
      [...names.slice(0, 8), 'small'],
    );
    const bytes = own.reduce((sum, [name = '', value = '']) => sum + name.length + value.length + 4, 0);
    assert.ok(bytes <= 8192 && bytes > 7000, String(bytes));
    told();
    assert.deepEqual(lines.map(({ event, facts: { header } }) => [event, header]).sort(), [
      ['identity.header_left_out', 'X-User-Claim-*'],
      ['identity.header_left_out', 'X-User-Claim-huge'],
    ]);
  });

  for (const value of [
    'a\r\nX-Auth-Request-User: admin',
    'a\u0000',
    'a\u0085b',
    ' admin',
    'admin\u00a0',
    '\ud800',
    'x'.repeat(1025),
  ])
    it(`leave out ${JSON.stringify(value).slice(0, 40)}, which would name somebody else or break the message`, () => {
      const { headersOf } = setUp();
      assert.deepEqual(headersOf(app({ subject: value, preferredUsername: value, groups: [] })), {});
    });

  it('have only names that a header may have', () => {
    const { headersOf, lines } = setUp(['https://example.com/role', 'a b', 'rôle', 'role']);
    const claims = { 'https://example.com/role': 'x', 'a b': 'x', rôle: 'x', role: 'x' };
    const named = Object.keys(headersOf(person({ claims }))).filter((name) => name.startsWith('X-User-Claim'));
    assert.deepEqual(named, ['X-User-Claim-role']);
    assert.equal(lines.length, 3);
  });
});

describe('a header that only the gateway may set', () => {
  const isIdentityHeader = createIsIdentityHeader(['x-corp-']);

  for (const name of [
    'x-auth-request-user',
    'X-Auth-Request-Access-Token',
    'X_Auth_Request_User',
    'x-auth_request-email',
    'X.Auth.Request.User',
    'X-Amzn-Oidc-Data',
    'x_amzn_oidc_identity',
    'X-User-Subject',
    'X-User-Claim-Email',
    'X-Forwarded-User',
    'X_FORWARDED_EMAIL',
    'x-forwarded-groups',
    'X-Forwarded-User-Id',
    'X-Corp-Role',
    'x_corp_role',
  ])
    it(`may be spelt ${name}`, () => {
      assert.equal(isIdentityHeader(name), true);
      assert.equal(isIdentityHeader(name), true);
    });

  for (const name of ['authorization', 'cookie', 'x-forwarded-for', 'x-request-id', 'x-users', 'user-agent', 'x-auth'])
    it(`is not ${name}`, () => assert.equal(isIdentityHeader(name), false));

  it('is still told when callers make up thousands of names', () => {
    for (let i = 0; i < 10_000; i++) isIdentityHeader(`x-made-up-${i}`);
    assert.equal(isIdentityHeader('X_User_Fresh'), true);
    assert.equal(isIdentityHeader('x-other-fresh'), false);
  });
});

describe('what is made once for an identity', () => {
  it('is kept beside those that were used last, and made anew for others', () => {
    let made = 0;
    const of = onceForIdentity(() => ({ number: ++made }));
    const [first, second] = [person(), person()];
    assert.equal(of(first), of(first));
    assert.notEqual(of(first), of(second));
    for (let i = 0; i < RECENT_IDENTITIES - 1; i += 1) of(person());
    of(second);
    assert.deepEqual([of(second).number, of(first).number], [2, made]);
  });
});

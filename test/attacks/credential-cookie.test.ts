import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import type { Purpose } from '../../src/session/seal.ts';
import { createSeal } from '../../src/session/seal.ts';
import { createCredentialGate } from '../access/credential-gate.ts';
import { cookieKey, HOUR, revocationOf, session, T0 } from '../session/fixtures.ts';

const gate = await createCredentialGate();
const name = gate.cookies.sessionName;
const good = await gate.store.create(session());

/** Signed out, the cookie cleared: that is all a bad cookie ever comes to. */
async function assertSignedOut(cookieHeader: string, why: string) {
  const { status, decision } = await gate.ask('cookie', cookieHeader);
  assert.deepEqual([status, decision], [401, { kind: 'sign-in', why, clearCookie: true }]);
}

it('The cookie that all these are made from is good', async () => {
  assert.equal((await gate.ask('cookie', `${name}=${good}`)).status, 200);
});

describe('a session cookie with one flipped bit is signed out,', () => {
  const [header = '', , iv = '', text = '', tag = ''] = good.split('.');
  const segments = { header, iv, text, tag };
  for (const [part, segment] of Object.entries(segments))
    for (const at of [0, Math.floor(segment.length / 2), segment.length - 1])
      it(`in the ${part}, character ${at}`, () => {
        const start = good.indexOf(segment) + at;
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const flipped = alphabet[alphabet.indexOf(good[start] ?? '') ^ 1] ?? '';
        return assertSignedOut(
          `${name}=${good.slice(0, start)}${flipped}${good.slice(start + 1)}`,
          'session_unreadable',
        );
      });
});

describe('a session cookie is signed out when it is', () => {
  for (const length of [0, 1, 50, 100, good.length - 1])
    it(`cut to ${length} characters`, () => assertSignedOut(`${name}=${good.slice(0, length)}`, 'session_unreadable'));

  for (const [what, value] of [
    ['grown', `${good}A`],
    ['padded', `${good}=`],
    ['quoted', `"${good}"`],
    ['percent-encoded', good.replaceAll('.', '%2e')],
    ['given an encrypted key', good.replace('..', '.AAAA.')],
    ['given a sixth segment', `${good}.AAAA`],
    ['a megabyte of dots', '.'.repeat(1_000_000)],
    ['64 KiB of a good beginning', good.padEnd(65_536, 'A')],
    ['not ours at all', 'eyJhbGciOiJub25lIn0.e30.'],
    ['unsealed JSON', Buffer.from(JSON.stringify(session())).toString('base64url')],
    ['bytes above ASCII', '\u00ff\u00fe'],
  ] as const)
    it(what, () => assertSignedOut(`${name}=${value}`, 'session_unreadable'));

  for (const header of [
    { alg: 'none' },
    { alg: 'dir', enc: 'A128GCM' },
    { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
    { alg: 'PBES2-HS256+A128KW', enc: 'A256GCM', p2c: 2_000_000_000, p2s: 'AAAA' },
  ])
    it(`given the header ${JSON.stringify(header)}`, () => {
      const forged = Buffer.from(JSON.stringify(header)).toString('base64url');
      return assertSignedOut(`${name}=${forged}${good.slice(good.indexOf('.'))}`, 'session_unreadable');
    });

  it('sent twice, though both are good', async () => {
    await assertSignedOut(`${name}=${good}; ${name}=${good}`, 'session_unreadable');
    await assertSignedOut(`${name}=; ${name}=${good}`, 'session_unreadable');
  });

  it('sent twice in two fields', async () => {
    const { status } = await gate.ask('cookie', `${name}=${good}`, 'cookie', `${name}=${good}`);
    assert.equal(status, 401);
  });

  for (const purpose of ['login-state', 'login-cookie', 'logout-state', 'id-token'] satisfies Purpose[])
    it(`sealed as ${purpose}, though it holds a session`, async () =>
      assertSignedOut(`${name}=${await gate.seal.seal(purpose, session())}`, 'session_unreadable'));

  it("another deployment's", async () => {
    const other = createCookieStore({ seal: createSeal([cookieKey(9)]) });
    await assertSignedOut(`${name}=${await other.create(session())}`, 'session_unreadable');
  });

  it('sealed by us in another shape', async () =>
    assertSignedOut(`${name}=${await gate.seal.seal('session', { sub: 'admin' })}`, 'session_unreadable'));

  it('past its limits, however often it is replayed', async () => {
    const old = await gate.store.create(session({ startedAt: T0 - 24 * HOUR }));
    await assertSignedOut(`${name}=${old}`, 'session_expired');
    await assertSignedOut(`${name}=${old}`, 'session_expired');
  });
});

describe('a session cookie that was signed out', () => {
  it('stays so when it is replayed, also when it was remembered as good', async () => {
    const cookie = await gate.store.create(session({ id: 'to-be-ended' }));
    const earlier = await gate.store.create(session({ id: 'to-be-ended', seenAt: T0 - 1 }));
    assert.equal((await gate.ask('cookie', `${name}=${cookie}`)).status, 200);
    gate.revocations.revoke(revocationOf('to-be-ended', T0 + 24 * HOUR));
    await assertSignedOut(`${name}=${cookie}`, 'session_revoked');
    await assertSignedOut(`${name}=${earlier}`, 'session_revoked');
    await assertSignedOut(`${name}=${cookie}`, 'session_revoked');
  });
});

describe('among many cookies', () => {
  const others = Array.from({ length: 499 }, (_, i) => `c${i}=v${i}`).join('; ');

  it('the session is found', async () => {
    assert.equal((await gate.ask('cookie', `${others}; ${name}=${good}`)).status, 200);
    const fields = others.split('; ').flatMap((pair) => ['cookie', pair]);
    assert.equal((await gate.ask(...fields, 'cookie', `${name}=${good}`)).status, 200);
  });

  it('one with a name like it is not taken for it', async () => {
    for (const other of [
      `x${name}`,
      `${name}x`,
      name.toLowerCase(),
      name.toUpperCase(),
      'flytegate',
      `%5f%5fHost-flytegate`,
    ]) {
      const { decision } = await gate.ask('cookie', `${other}=${good}`);
      assert.equal(decision?.kind === 'sign-in' && decision.why, 'credential_missing', other);
    }
  });

  it('500 session cookies are one too many', () =>
    assertSignedOut(Array(500).fill(`${name}=${good}`).join('; '), 'session_unreadable'));
});

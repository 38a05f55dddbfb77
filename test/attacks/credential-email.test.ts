import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createIdentityHeaders } from '../../src/access/identity-headers.ts';
import { createCredentialGate } from '../access/credential-gate.ts';
import { accessClaims, createRecordedLog } from '../authenticate/fixtures.ts';
import { session } from '../session/fixtures.ts';

const gate = await createCredentialGate();
const headersOf = createIdentityHeaders({ claims: [], log: createRecordedLog().log });

/** The header fields that an upstream would get of a request. */
async function upstreamSees(...raw: string[]): Promise<readonly string[]> {
  const { decision } = await gate.ask(...raw);
  assert.ok(decision?.kind === 'allow');
  return headersOf(decision.identity);
}

async function emailSeen(claims: { email: string; email_verified?: unknown }): Promise<boolean> {
  const token = await gate.issuer.sign(accessClaims(claims));
  const byToken = await upstreamSees('authorization', `Bearer ${token}`);
  return byToken.includes('X-Auth-Request-Email');
}

it('The e-mail that all these are made from is shown', async () => {
  assert.equal(await emailSeen({ email: 'a@corp.com', email_verified: true }), true);
});

describe('an upstream never sees an e-mail that', () => {
  for (const said of ['true', 'TRUE', 1, {}, [true], null, false, undefined])
    it(`is verified as ${JSON.stringify(said)}`, async () =>
      assert.equal(await emailSeen({ email: 'a@corp.com', email_verified: said }), false));

  for (const email of [
    'a@evil@corp.com',
    '"a@evil.test"@corp.com',
    'a@corp.com@evil.test',
    'a@evil.test,b@corp.com',
    'a@corp.com\r\nX-User-Subject: admin',
  ])
    it(`can be read in two ways: ${JSON.stringify(email)}`, async () =>
      assert.equal(await emailSeen({ email, email_verified: true }), false));

  it('a session kept as unverified', async () => {
    const claims = { sub: 'a', email: 'a@corp.com', email_verified: false };
    const cookie = await gate.store.create(session({ claims }));
    const seen = await upstreamSees('cookie', `${gate.cookies.sessionName}=${cookie}`);
    assert.ok(!seen.includes('X-Auth-Request-Email'));
  });
});

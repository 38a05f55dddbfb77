import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Decision } from '../../src/access/decision.ts';
import { createMeAllowed, meRefused } from '../../src/answer/me.ts';
import type { Identity } from '../../src/authenticate/identity.ts';
import { Failure } from '../../src/failure.ts';

const identity: Identity = {
  issuer: 'https://idp.test',
  subject: 'ada',
  kind: 'person',
  email: 'ada@example.test',
  emailVerified: false,
  groups: [],
  scopes: [],
  claims: { team: 'blue' },
  expiresAt: 100_000,
};
const allow: Extract<Decision, { kind: 'allow' }> = { kind: 'allow', identity, until: 60_000 };

const meAllowed = createMeAllowed({ identityHeaders: () => [], outsideMs: 10_000 });

function seconds(
  decision: Extract<Decision, { kind: 'allow' }>,
  more: { byAuthorization?: boolean; setCookie?: string; now?: number } = {},
) {
  const reply = meAllowed(decision, { now: 0, byAuthorization: false, ...more });
  assert.equal(reply.fields[0], 'X-Accel-Expires', 'nginx before 1.23 obeys whichever comes first');
  return reply.fields[1];
}

describe('/me', () => {
  it('shows every field of flyteadmin’s UserInfoResponse, empty ones too, and an unverified e-mail', () => {
    const reply = meAllowed(allow, { now: 0, byAuthorization: false });
    assert.deepEqual(JSON.parse(String(reply.body)), {
      subject: 'ada',
      name: '',
      preferred_username: '',
      given_name: '',
      family_name: '',
      email: 'ada@example.test',
      picture: '',
      additional_claims: { team: 'blue' },
    });
  });

  it('lets an outside cache keep an allow no longer than its setting, its end, or not at all by authorization', () => {
    assert.equal(seconds(allow), '10');
    assert.equal(seconds({ ...allow, until: 4_900 }), '4');
    assert.equal(seconds(allow, { now: 70_000 }), '0');
    assert.equal(seconds(allow, { byAuthorization: true }), '0');
    assert.equal(seconds(allow, { setCookie: 'session=new' }), '0');
  });

  it('stays under what nginx buffers, leaving out identity headers from the end', () => {
    const identityHeaders = () => ['X-Auth-Request-User', 'ada', 'X-Auth-Request-Groups', 'g'.repeat(1000)];
    const reply = createMeAllowed({ identityHeaders, outsideMs: 10_000 })(allow, {
      now: 0,
      byAuthorization: false,
      setCookie: `session=${'x'.repeat(2867)}; Path=/; HttpOnly`,
    });
    assert.ok(reply.fields.includes('X-Auth-Request-User'));
    assert.ok(!reply.fields.includes('X-Auth-Request-Groups'));
    assert.ok(reply.fields.join('').length + reply.fields.length * 2 < 3_500);
  });

  for (const [decision, status] of [
    [{ kind: 'sign-in', why: 'credential_missing', clearCookie: false }, 401],
    [{ kind: 'deny', why: 'scope_missing', missing: 'all' }, 403],
    [{ kind: 'unavailable', cause: new Failure('issuer_unreachable', 'down') }, 503],
  ] as const) {
    it(`answers ${decision.kind} with a plain ${status} that no cache keeps`, () => {
      const reply = meRefused(decision, { id: 'ref-1' });
      assert.equal(reply.status, status);
      assert.equal(reply.fields[reply.fields.indexOf('X-Accel-Expires') + 1], '0');
      assert.equal(JSON.parse(String(reply.body)).reference, 'ref-1');
    });
  }
});

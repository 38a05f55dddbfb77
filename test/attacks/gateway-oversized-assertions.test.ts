import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { decodeJwt } from 'jose';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { upstreamsAt } from '../flows/told.ts';

// Claims that people can write themselves (a profile of many long fields) made assertions that no service takes as a header;
// and claims that differ from standard ones in case only, which some readers take for those (Go's encoding/json does).

const long = Array.from({ length: 20 }, (_, i) => `claim${i}`);

describe('what a provider says of a person', () => {
  let upstream: EchoUpstream;
  let rig: FakeRig;
  before(async () => {
    upstream = await startEchoUpstream();
    endLater(upstream.close);
    rig = await startFakeRig({
      files: { 'secrets/assertion_key': makeAssertionKey() },
      settings: {
        ...upstreamsAt(upstream.url, {
          both: { identityHeaders: ['alb', 'assertion'], upstreamAuthorization: 'none' },
        }),
        'identityHeaders.claims': ['7', 'SUB', 'Given_Name', 'EMAIL', ...long.slice(4)],
      },
    });
  });

  const told = async (claims: Record<string, unknown>) => {
    const arriving = upstream.next();
    const fields = { authorization: `Bearer ${await rig.provider.accessToken({ sub: 'ada', ...claims })}` };
    assert.equal((await rig.ask('/both', { fields })).status, 200);
    const { fields: arrived } = await arriving;
    const jwt = arrived[arrived.findIndex((name) => name.toLowerCase() === 'x-amzn-oidc-data') + 1] ?? '';
    return { jwt, claims: decodeJwt(jwt) };
  };

  it('makes no assertion that a service has no room for: what matters most goes in first', async () => {
    const value = 'x'.repeat(990);
    const { jwt, claims } = await told({
      7: value,
      ...Object.fromEntries(long.slice(4, 12).map((name) => [name, value])),
    });
    assert.ok(jwt.length < 6500, `${jwt.length} bytes`);
    assert.equal(claims.sub, 'ada');
    assert.ok(Object.keys(claims).filter((name) => name === '7' || name.startsWith('claim')).length <= 4);
    const line = await rig.log.until((one) => one['event'] === 'identity.header_left_out');
    assert.match(String(line['why']), /no room/);
  });

  it('is never named by a claim that only looks like a standard one', async () => {
    const { claims } = await told({
      SUB: 'root',
      Given_Name: 'Root',
      EMAIL: 'root@example.com',
      email_verified: false,
    });
    assert.deepEqual(
      Object.keys(claims).filter((name) => name !== name.toLowerCase()),
      [],
    );
    assert.equal(claims.sub, 'ada');
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { personClaims } from '../../src/oidc/person-claims.ts';

describe('what is kept of a person', () => {
  it('keeps the claims of /me and those that were named, userinfo before the ID token', () => {
    const idToken = { sub: 'ada', name: 'A', given_name: 'Ada', at_hash: 'x', level: 3, tags: ['a', 'b'], note: 'no' };
    const userinfo = { sub: 'ada', name: 'Ada L', groups: ['x', 'y'], picture: 'https://p.example/1' };
    assert.deepEqual(personClaims(idToken, userinfo, ['level', 'tags', 'absent']), {
      sub: 'ada',
      name: 'Ada L',
      given_name: 'Ada',
      picture: 'https://p.example/1',
      groups: ['x', 'y'],
      additional: { level: 3, tags: ['a', 'b'] },
    });
  });

  it('counts what has another type, is too long or holds control characters as absent', () => {
    const odd = {
      name: 7,
      given_name: 'x'.repeat(257),
      family_name: 'a\nb',
      picture: 'p'.repeat(513),
      email: { a: 1 },
    };
    assert.deepEqual(personClaims({ sub: 'ada', ...odd }, {}, []), { sub: 'ada' });
    assert.equal(personClaims({ sub: 'ada', name: '王'.repeat(86) }, {}, [])?.name, undefined);
    assert.equal(personClaims({ sub: 'ada', name: '王'.repeat(85) }, {}, [])?.name, '王'.repeat(85));
    assert.equal(personClaims({ sub: 'ada', name: '\ud800' }, {}, [])?.name, undefined);
  });

  it('has no person without a proper subject', () => {
    for (const sub of [undefined, '', 7, 'a'.repeat(256), 'a\u0000b', ['ada']]) {
      assert.equal(personClaims({ sub }, {}, []), undefined);
    }
  });

  for (const [sent, kept] of [
    [true, true],
    [false, false],
    ['true', false],
    [1, false],
    [undefined, undefined],
    [null, undefined],
  ] as const) {
    it(`reads email_verified ${JSON.stringify(sent)} as ${kept}`, () => {
      const claims = personClaims({ sub: 'ada', email: 'a@example.com', email_verified: sent }, {}, []);
      assert.equal(claims?.email_verified, kept);
    });
  }

  it('takes a single text for a list of one group, and drops only what is no text', () => {
    assert.deepEqual(personClaims({ sub: 'ada', groups: 'admins' }, {}, [])?.groups, ['admins']);
    assert.deepEqual(personClaims({ sub: 'ada', groups: ['a', 7, null, 'b'] }, {}, [])?.groups, ['a', 'b']);
  });

  it('looks for named claims among the claims only', () => {
    assert.equal(personClaims({ sub: 'ada' }, {}, ['toString', '__proto__', 'constructor'])?.additional, undefined);
  });
});

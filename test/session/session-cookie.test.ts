import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCookies } from '../../src/session/session-cookie.ts';

/** A Set-Cookie value as a set of its parts, the pair first. */
function parts(setCookie: string): readonly [pair: string, attributes: readonly string[]] {
  const [pair = '', ...attributes] = setCookie.split('; ');
  return [pair, attributes.sort()];
}

describe('the cookies', () => {
  const cookies = createCookies({ sameSite: 'strict', secure: true });

  it('are host-bound, HttpOnly and Secure', () => {
    assert.deepEqual(parts(cookies.setSession('abc', 60)), [
      '__Host-flytegate=abc',
      ['HttpOnly', 'Max-Age=60', 'Path=/', 'SameSite=Strict', 'Secure'],
    ]);
  });

  it('are Lax for ten minutes while signing in, whatever the setting', () => {
    assert.deepEqual(parts(cookies.setLogin('a1b2c3d4', 'xyz')), [
      '__Host-flytegate-login-a1b2c3d4=xyz',
      ['HttpOnly', 'Max-Age=600', 'Path=/', 'SameSite=Lax', 'Secure'],
    ]);
  });

  it('show the ID token to /logout only', () => {
    assert.deepEqual(parts(cookies.setIdToken('idt', 60)), [
      '__Secure-flytegate-idt=idt',
      ['HttpOnly', 'Max-Age=60', 'Path=/logout', 'SameSite=Strict', 'Secure'],
    ]);
  });

  it('are cleared with the attributes they were set with', () => {
    for (const [set, cleared] of [
      [cookies.setSession('a', 0), cookies.clearSession()],
      [cookies.setIdToken('a', 0), cookies.clearIdToken()],
      [cookies.setLogin('s', 'a').replace('600', '0'), cookies.clearLogin('s')],
    ] as const)
      assert.deepEqual(parts(cleared), parts(set.replace('=a;', '=;')));
  });

  for (const [why, settings, attribute, loginPrefix] of [
    [
      'a domain is set, all but the login cookie,',
      { sameSite: 'lax', domain: 'example.com', secure: true },
      'Domain=example.com',
      '__Host-flytegate-login-',
    ],
    ['Secure is off', { sameSite: 'lax', secure: false }, 'Path=/', 'flytegate-login-'],
  ] as const)
    it(`go without prefixes when ${why}`, () => {
      const plain = createCookies(settings);
      assert.deepEqual(
        [plain.sessionName, plain.loginPrefix, plain.idTokenName],
        ['flytegate', loginPrefix, 'flytegate-idt'],
      );
      for (const line of [
        plain.setSession('a', 1),
        plain.setLogin('s', 'a'),
        plain.clearIdToken(),
        plain.clearSession(),
      ])
        assert.equal(line.includes('Secure'), settings.secure);
      assert.ok(parts(plain.setSession('a', 1))[1].includes(attribute));
    });

  for (const secure of [true, false])
    it(`keep a login on the host where it began, whatever the domain, ${secure ? 'with' : 'without'} Secure`, () => {
      const shared = createCookies({ sameSite: 'lax', domain: 'example.com', secure });
      for (const line of [shared.setLogin('s', 'a'), shared.clearLogin('s')]) {
        assert.doesNotMatch(line, /domain/i);
        assert.match(line, /; Path=\/;/);
      }
    });

  for (const name of [
    '__Host-flytegate',
    'flytegate',
    '__Secure-flytegate',
    '__Host-flytegate-login-abcdefgh',
    'flytegate-login-abcdefgh',
    '__Secure-flytegate-idt',
    'flytegate-idt',
  ])
    it(`know ${name} for ours under every setting`, () => assert.equal(cookies.isOurs(name), true));

  for (const name of ['', 'flyte', 'flytegate2', 'flytegate-', 'my-flytegate', '__Host-session', 'flytegate-login'])
    it(`leave ${name || 'a cookie without a name'} to others`, () => assert.equal(cookies.isOurs(name), false));
});

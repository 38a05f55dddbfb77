import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCookies, serializeCookie, withoutCookies } from '../../src/server/cookie.ts';

const ours = '__Host-flytegate';
const isOurs = (name: string) => name === ours || name.startsWith(`${ours}-login-`);

describe('reading cookies', () => {
  for (const [header, values] of [
    ['', []],
    [`${ours}=v`, ['v']],
    [`a=1; ${ours}=v; b=2`, ['v']],
    [`a=1;${ours}=v;b=2`, ['v']],
    [`a=1;\t ${ours}=v \t; b=2`, ['v']],
    [`${ours}=v; ${ours}=w`, ['v', 'w']],
    [`${ours}=v; ${ours}=v`, ['v', 'v']],
    [`${ours}=`, ['']],
    [`${ours}="v"`, ['"v"']],
    [`${ours}=a=b==`, ['a=b==']],
    [`${ours}=%41`, ['%41']],
    [`${ours}=\xe4`, ['\xe4']],
    [`${ours}`, []],
    [`x${ours}=v`, []],
    [`x=${ours}=v`, []],
    [`x="; ${ours}=v"`, ['v"']],
    [`${ours}2=v`, []],
    [`${ours.toUpperCase()}=v`, []],
    [`${ours} =v`, []],
    [`=${ours}=v`, []],
    [`,${ours}=v`, []],
    [`; ; ;${ours}=v;;`, ['v']],
  ] as const) {
    it(`finds exactly ${JSON.stringify(values)} in ${JSON.stringify(header)}`, () => {
      assert.deepEqual(readCookies(header, ours), values);
    });
  }

  it('costs no more than the length of the field', () => {
    for (const piece of [';', ' ', `${ours}=`, `x${ours}=`, `${ours}=;`, `; ${ours}`]) {
      const header = piece.repeat(Math.floor(1_000_000 / piece.length));
      const before = process.cpuUsage();
      readCookies(header, ours);
      withoutCookies(header, isOurs);
      const { user } = process.cpuUsage(before);
      assert.ok(user < 1_500_000, `${piece}: ${user} µs`);
    }
  });
});

describe('taking our cookies out', () => {
  for (const [header, rest] of [
    ['a=1; b=2', 'a=1; b=2'],
    ['a=1;b=2;;  c', 'a=1;b=2;;  c'],
    [`${ours}=v`, undefined],
    [`${ours}=v; `, undefined],
    ['', undefined],
    [' ', undefined],
    [`${ours}=v; a=1`, 'a=1'],
    [`a=1; ${ours}=v`, 'a=1'],
    [`a=1; ${ours}=v; b=2`, 'a=1; b=2'],
    [`a=1;${ours}=v;b="x y"`, 'a=1;b="x y"'],
    [`${ours}=v; ${ours}-login-12345678=w; a=\xe4=`, 'a=\xe4='],
    [`a=1; ${ours} =v`, 'a=1'],
    [`a=1; ${ours}`, 'a=1'],
    [`a=1; \t${ours}\t=\tv\t; b=2`, 'a=1; b=2'],
    [`a=${ours}; b=2`, `a=${ours}; b=2`],
    [`=${ours}=v`, `=${ours}=v`],
  ] as const) {
    it(`leaves ${JSON.stringify(rest)} of ${JSON.stringify(header)}`, () => {
      assert.equal(withoutCookies(header, isOurs), rest);
    });
  }

  it('leaves nothing in which our cookie can still be read, whatever the field is made of', () => {
    const pieces = [ours, '=', ';', ' ', 'a', '"', ','];
    const grow = (headers: readonly string[]) => headers.flatMap((header) => pieces.map((piece) => header + piece));
    for (const header of grow(grow(grow(grow(pieces))))) {
      const rest = withoutCookies(header, isOurs);
      assert.deepEqual(readCookies(rest ?? '', ours), [], header);
      if (!header.includes(ours)) assert.equal(rest, header.trim() === '' ? undefined : header);
    }
  });
});

describe('writing a cookie', () => {
  it('says all its attributes, HttpOnly always', () => {
    assert.equal(
      serializeCookie(ours, 'v', { path: '/', maxAgeS: 60, secure: true, sameSite: 'lax' }),
      `${ours}=v; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax`,
    );
    assert.equal(
      serializeCookie('a', '', { path: '/logout', maxAgeS: 0, domain: 'a.test', secure: false, sameSite: 'none' }),
      'a=; Max-Age=0; Domain=a.test; Path=/logout; HttpOnly; SameSite=None',
    );
  });

  it('reads back as the same bytes', () => {
    const value = 'eyJ.-_~A+/=';
    const [pair = ''] = serializeCookie('a', value, { path: '/', secure: true, sameSite: 'strict' }).split(';');
    assert.deepEqual(readCookies(pair, 'a'), [value]);
  });

  for (const [name, value, path] of [
    ['a b', 'v', '/'],
    ['a', 'v; Domain=evil.test', '/'],
    ['a', 'v\r\nX: y', '/'],
    ['a', 'v', '/;x'],
    ['a=b', 'v', '/'],
  ] as const) {
    it(`refuses ${JSON.stringify([name, value, path])}`, () => {
      assert.throws(() => serializeCookie(name, value, { path, secure: true, sameSite: 'lax' }), TypeError);
    });
  }
});

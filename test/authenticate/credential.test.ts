import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCredential } from '../../src/authenticate/credential.ts';
import { Fields } from '../../src/server/request-head.ts';

const names = { flyteHeaders: ['flyte-authorization'], sessionCookie: '__Host-flytegate' };
const read = (...raw: string[]) => readCredential(new Fields(raw), names);

describe('the credential of a request', () => {
  it('is none when nothing came', () => {
    assert.deepEqual(read('Host', 'flyte.example.com', 'Cookie', 'theme=dark'), { kind: 'none' });
  });

  it("is the flyte header's bearer, in any case of header and scheme", () => {
    for (const [name, scheme] of [
      ['flyte-authorization', 'Bearer'],
      ['Flyte-Authorization', 'bearer'],
      ['FLYTE-AUTHORIZATION', 'BEARER'],
    ] as const)
      assert.deepEqual(read(name, `${scheme} a.b.c`), { kind: 'bearer', token: 'a.b.c', header: 'flyte' });
  });

  it("is authorization's bearer when there is no flyte header", () => {
    assert.deepEqual(read('Authorization', 'Bearer a.b.c'), {
      kind: 'bearer',
      token: 'a.b.c',
      header: 'authorization',
    });
  });

  it('is the session cookie when there is no bearer', () => {
    assert.deepEqual(read('Cookie', 'theme=dark; __Host-flytegate=sealed; x=y'), { kind: 'session', cookie: 'sealed' });
  });

  it('is the session cookie also when HTTP/2 brings cookies one by one', () => {
    const cookies = ['cookie', 'theme=dark', 'cookie', '__Host-flytegate=sealed', 'cookie', 'x=y'];
    assert.deepEqual(read(...cookies), { kind: 'session', cookie: 'sealed' });
  });

  it('is the bearer alone when a cookie came too, also when it is no good', () => {
    const cookie = ['Cookie', '__Host-flytegate=sealed'];
    assert.deepEqual(read('Authorization', 'Bearer a.b.c', ...cookie), {
      kind: 'bearer',
      token: 'a.b.c',
      header: 'authorization',
    });
    assert.deepEqual(read('Authorization', 'Bearer', ...cookie), {
      kind: 'bearer',
      token: '',
      header: 'authorization',
    });
  });

  it('is the session when authorization has another scheme', () => {
    for (const value of ['Basic dTpw', 'DPoP a.b.c', 'Bearerish a.b.c', 'a.b.c', ''])
      assert.deepEqual(read('Authorization', value, 'Cookie', '__Host-flytegate=sealed'), {
        kind: 'session',
        cookie: 'sealed',
      });
  });

  it('is a bearer without a token when the flyte header has another scheme', () => {
    for (const value of ['Basic dTpw', 'a.b.c', 'Bearerish a.b.c'])
      assert.deepEqual(read('flyte-authorization', value), { kind: 'bearer', token: '', header: 'flyte' });
  });

  it('is not in a flyte header without a value', () => {
    assert.deepEqual(read('flyte-authorization', ' ', 'authorization', 'Bearer a.b.c'), {
      kind: 'bearer',
      token: 'a.b.c',
      header: 'authorization',
    });
  });

  for (const value of [
    'Bearer',
    'Bearer ',
    'Bearer a b',
    'Bearer a,b',
    'Bearer "a"',
    'Bearer a\u00e9',
    'Bearer a=b',
    'Bearer Bearer a',
  ])
    it(`has no token in ${JSON.stringify(value)}`, () => {
      assert.deepEqual(read('authorization', value), { kind: 'bearer', token: '', header: 'authorization' });
    });

  it('may have white space around the token', () => {
    assert.deepEqual(read('authorization', 'Bearer  \t a.b.c '), {
      kind: 'bearer',
      token: 'a.b.c',
      header: 'authorization',
    });
  });

  it('reads authorization as such when it is the configured header', () => {
    const own = { ...names, flyteHeaders: [] };
    const fields = new Fields(['Authorization', 'Basic dTpw', 'Cookie', '__Host-flytegate=sealed']);
    assert.deepEqual(readCredential(fields, own), { kind: 'session', cookie: 'sealed' });
    const bearer = readCredential(new Fields(['Authorization', 'Bearer a.b.c']), own);
    assert.deepEqual(bearer, { kind: 'bearer', token: 'a.b.c', header: 'authorization' });
  });

  it('is one when both headers say the same', () => {
    const both = read('authorization', 'bearer a.b.c', 'flyte-authorization', 'Bearer a.b.c');
    assert.deepEqual(both, { kind: 'bearer', token: 'a.b.c', header: 'flyte' });
  });
});

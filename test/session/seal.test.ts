import assert from 'node:assert/strict';
import { createHash, hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { CompactEncrypt, compactDecrypt } from 'jose';
import { createSeal, MAX_SEALED_LENGTH, type Purpose } from '../../src/session/seal.ts';
import { cookieKey } from './fixtures.ts';

const PURPOSES: readonly Purpose[] = ['session', 'login-state', 'login-cookie', 'logout-state', 'id-token'];

/** The key of a purpose, derived by the book. */
function keyOf(byte: number, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', new Uint8Array(96).fill(byte), '', purpose, 32));
}

function kidOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('base64url').slice(0, 8);
}

describe('a seal', () => {
  const seal = createSeal([cookieKey(1)]);

  it('gives back what it sealed', async () => {
    const payload = { id: 'abc', list: ['王', 1, true], deep: { a: null } };
    assert.deepEqual(await seal.open('session', await seal.seal('session', payload)), payload);
  });

  it('is JWE compact serialization with the documented header, key and payload version', async () => {
    const sealed = await seal.seal('login-state', { a: 1 });
    const key = keyOf(1, 'login-state');
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key);
    assert.deepEqual(protectedHeader, { alg: 'dir', enc: 'A256GCM', kid: kidOf(key), typ: 'login-state' });
    assert.deepEqual(JSON.parse(new TextDecoder().decode(plaintext)), { a: 1, v: 1 });
  });

  it('never gives the same value twice', async () => {
    assert.notEqual(await seal.seal('session', { a: 1 }), await seal.seal('session', { a: 1 }));
  });

  it('hides what it sealed', async () => {
    const sealed = await seal.seal('session', { token: 'very-secret-token' });
    for (const segment of sealed.split('.'))
      assert.ok(!Buffer.from(segment, 'base64url').includes('very-secret-token'));
  });

  for (const made of PURPOSES)
    for (const asked of PURPOSES.filter((purpose) => purpose !== made))
      it(`does not open a ${made} as a ${asked}`, async () => {
        assert.equal(await seal.open(asked, await seal.seal(made, { a: 1 })), undefined);
      });

  it('seals with the first key and opens with all of them', async () => {
    const both = createSeal([cookieKey(2), cookieKey(1)]);
    assert.deepEqual(await both.open('session', await seal.seal('session', { a: 1 })), { a: 1 });
    const second = createSeal([cookieKey(2)]);
    assert.deepEqual(await second.open('session', await both.seal('session', { a: 2 })), { a: 2 });
    assert.equal(await seal.open('session', await both.seal('session', { a: 2 })), undefined);
  });

  it('refuses to seal without a key', async () => {
    await assert.rejects(createSeal([]).seal('session', {}), TypeError);
  });

  it('does not let a payload choose its own version', async () => {
    assert.deepEqual(await seal.open('session', await seal.seal('session', { v: 2, a: 1 })), { a: 1 });
  });

  it('opens nothing over 8 KiB, though it was sealed by our key', async () => {
    const sealed = await seal.seal('session', { long: 'x'.repeat(MAX_SEALED_LENGTH) });
    assert.equal(await seal.open('session', sealed), undefined);
  });

  for (const payload of ['[1]', '"text"', 'null', '{"v":2,"a":1}', '{"a":1}', 'no json'])
    it(`does not open a payload of ${payload}, though it was sealed by our key`, async () => {
      const key = keyOf(1, 'session');
      const sealed = await new CompactEncrypt(new TextEncoder().encode(payload))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: kidOf(key), typ: 'session' })
        .encrypt(key);
      assert.equal(await seal.open('session', sealed), undefined);
    });
});

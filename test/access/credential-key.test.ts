import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createCredentialKeys, mayBeKept } from '../../src/access/credential-key.ts';
import type { Provable } from '../../src/authenticate/authenticate.ts';
import { Secret } from '../../src/config/secret.ts';

const session = (cookie: string) => ({ kind: 'session', cookie }) as const;

describe('the key of a decision', () => {
  const keys = createCredentialKeys();
  const keyOf = (credential: Provable, rule: string) => keys.of(credential, rule, {});

  it('is the same for the same credential and rule', () => {
    const credential = { kind: 'session', cookie: 'a' } as const;
    assert.equal(keyOf(credential, 'r'), keyOf({ ...credential }, 'r'));
  });

  it('differs for whatever could be decided differently', () => {
    const asked: readonly (readonly [Provable, string])[] = [
      [{ kind: 'session', cookie: 'ab' }, 'r'],
      [{ kind: 'session', cookie: 'a' }, 'r'],
      [{ kind: 'session', cookie: '' }, 'r'],
      [{ kind: 'session', cookie: 'ab' }, 'rr'],
      [{ kind: 'session', cookie: 'ab' }, ''],
      [{ kind: 'session', cookie: 'a b' }, 'r'],
      [{ kind: 'session', cookie: 'b' }, 'r a'],
      [{ kind: 'session', cookie: '\u00e9' }, 'r'],
      [{ kind: 'session', cookie: '\u00c3\u00a9' }, 'r'],
      [{ kind: 'bearer', token: 'ab', header: 'flyte' }, 'r'],
      [{ kind: 'bearer', token: 'ab', header: 'authorization' }, 'r'],
      [{ kind: 'bearer', token: 'AB', header: 'flyte' }, 'r'],
      [{ kind: 'bearer', token: '', header: 'flyte' }, 'r'],
      [{ kind: 'bearer', token: '', header: 'authorization' }, 'r'],
    ];
    const made = asked.map(([credential, rule]) => keyOf(credential, rule));
    assert.equal(new Set(made).size, asked.length);
  });

  it('shows nothing of the credential', () => {
    const token = 'very-secret-token';
    assert.match(keyOf({ kind: 'bearer', token, header: 'flyte' }, 'r'), /^flyte 1:r [\w-]{43}$/);
  });
});

describe('the key beside a connection', () => {
  it('is the one that hashing would make', () => {
    const keys = createCredentialKeys();
    const connection = {};
    const hashed = keys.of(session('a'), 'r', {});
    keys.keep(hashed, session('a'), 'r', connection);
    assert.equal(keys.of(session('a'), 'r', connection), hashed);
  });

  it('is not used for whatever could be decided differently', () => {
    const keys = createCredentialKeys();
    const connection = {};
    keys.keep('kept', session('ab'), 'r', connection);
    assert.equal(keys.of(session('ab'), 'r', connection), 'kept');
    for (const [credential, rule] of [
      [session('aB'), 'r'],
      [session('a'), 'r'],
      [session('abc'), 'r'],
      [session('ab'), 'rr'],
      [{ kind: 'bearer', token: 'ab', header: 'flyte' }, 'r'],
      [{ kind: 'bearer', token: 'ab', header: 'authorization' }, 'r'],
    ] as const)
      assert.equal(keys.of(credential, rule, connection), keys.of(credential, rule, {}));
    assert.notEqual(keys.of(session('ab'), 'r', {}), 'kept', 'nor on another connection');
  });

  it('is kept for sealed cookies and verified JWTs, not for API keys and opaque tokens', () => {
    const token = { kind: 'bearer', token: 't', header: 'flyte' } as const;
    assert.equal(mayBeKept(session('a'), undefined), true);
    assert.equal(mayBeKept(token, { kind: 'as-sent' }), true);
    assert.equal(mayBeKept(token, { kind: 'obtained', accessToken: new Secret('x') }), false);
    assert.equal(mayBeKept(token, undefined), false);
  });

  it('is not kept for a credential that is too long to keep', () => {
    const keys = createCredentialKeys();
    const connection = {};
    keys.keep('kept', session('x'.repeat(4097)), 'r', connection);
    assert.notEqual(keys.of(session('x'.repeat(4097)), 'r', connection), 'kept');
  });
});

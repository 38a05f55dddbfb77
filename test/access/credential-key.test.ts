import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { credentialKey } from '../../src/access/credential-key.ts';
import type { Provable } from '../../src/authenticate/authenticate.ts';

describe('the key of a decision', () => {
  it('is the same for the same credential and rule', () => {
    const credential = { kind: 'session', cookie: 'a' } as const;
    assert.equal(credentialKey(credential, 'r'), credentialKey({ ...credential }, 'r'));
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
    const keys = asked.map(([credential, rule]) => credentialKey(credential, rule));
    assert.equal(new Set(keys).size, asked.length);
  });

  it('shows nothing of the credential', () => {
    const token = 'very-secret-token';
    assert.match(credentialKey({ kind: 'bearer', token, header: 'flyte' }, 'r'), /^flyte 1:r 17:[\w-]{43}$/);
  });
});

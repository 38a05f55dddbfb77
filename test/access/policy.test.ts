import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { authenticated, judge } from '../../src/access/policy.ts';
import { app, person } from './fixtures.ts';

describe('the rule for authenticated places', () => {
  it('lets people with a session pass', () => assert.deepEqual(judge(person(), authenticated), { kind: 'allow' }));

  it('lets bearers of scope all pass', () =>
    assert.deepEqual(judge(app({ scopes: ['openid', 'all'] }), authenticated), { kind: 'allow' }));

  for (const scopes of [[], ['openid'], ['ALL'], ['all '], ['all,openid'], ['install']])
    it(`names the scope that a bearer of [${scopes}] lacks`, () => {
      const missing = { kind: 'deny', why: 'scope_missing', missing: 'all' };
      assert.deepEqual(judge(app({ scopes }), authenticated), missing);
    });

  it("asks a person's bearer token for the scope as well", () => {
    assert.equal(judge(app({ kind: 'person', scopes: [] }), authenticated).kind, 'deny');
  });
});

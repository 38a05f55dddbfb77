import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pathFact, personDigest } from '../../src/observe/facts.ts';

describe('facts in log lines', () => {
  it('tell people of different issuers apart, without naming them', () => {
    assert.match(personDigest('https://a.test', 'ada'), /^[0-9a-f]{12}$/);
    assert.notEqual(personDigest('https://a.test', 'ada'), personDigest('https://b.test', 'ada'));
  });

  it('show a path as it is, but neither a token in it nor more than 300 characters', () => {
    assert.equal(pathFact('/api/v1/projects'), '/api/v1/projects');
    assert.equal(pathFact('/download/eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln/x'), '/download/[token]/x');
    assert.equal(pathFact(`/${'a'.repeat(5000)}`).length, 301);
  });
});

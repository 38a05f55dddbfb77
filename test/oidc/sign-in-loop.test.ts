import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createSignInLoop } from '../../src/oidc/sign-in-loop.ts';
import { handleOf } from '../../src/session/marks.ts';
import { createTestClock, session } from '../session/fixtures.ts';

describe('noticing a sign-in loop', () => {
  const person = { issuer: session().issuer, subject: session().claims.sub };
  const create = () => {
    const { now, advance } = createTestClock();
    const loop = createSignInLoop({ now });
    let count = 0;
    return {
      loop,
      now,
      advance,
      finish: (startedAt: number) => {
        count += 1;
        loop.finished(session({ id: `session-${count}` }), startedAt);
        advance(100);
      },
    };
  };

  it('counts tabs that signed in side by side once', () => {
    const { loop, now, finish } = create();
    const startedAt = now() - 1000;
    for (let tab = 0; tab < 10; tab += 1) finish(startedAt);
    assert.equal(loop.isLoop(person, now()), false);
  });

  it('takes a tab that began before the last sign-in ended for no further round', () => {
    const { loop, now, finish } = create();
    for (let round = 0; round < 3; round += 1) finish(now());
    assert.equal(loop.isLoop(person, now() - 1000), false);
    assert.equal(loop.isLoop(person, now()), true);
    assert.equal(loop.isLoop(person, now()), false, 'it starts counting afresh');
  });

  it('keeps people apart, and issuers', () => {
    const { loop, now, finish } = create();
    for (let round = 0; round < 3; round += 1) finish(now());
    assert.equal(loop.isLoop({ ...person, subject: 'user-2' }, now()), false);
    assert.equal(loop.isLoop({ ...person, issuer: 'https://other.example.com' }, now()), false);
  });

  it('is over as soon as any session of the round is seen', () => {
    const { loop, now, finish } = create();
    for (let round = 0; round < 3; round += 1) finish(now());
    loop.seen({ handle: handleOf('session-1') });
    assert.equal(loop.isLoop(person, now()), false);
  });
});

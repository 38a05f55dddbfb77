import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { createWaiting } from '../../src/server/waiting.ts';

describe('requests that wait for a connection', () => {
  function start(max: number) {
    mock.timers.enable({ apis: ['setTimeout', 'Date'] });
    const waiting = createWaiting({ max, patienceMs: 1000, now: () => Date.now() });
    const givenUp: string[] = [];
    const waiter = (name: string) => ({ giveUp: () => givenUp.push(name) });
    return { waiting, givenUp, waiter, stop: () => mock.timers.reset() };
  }

  it('give up after their patience, each at its own time', (t) => {
    const { waiting, givenUp, waiter, stop } = start(10);
    t.after(stop);
    assert.notEqual(waiting.enter(waiter('a')), undefined);
    mock.timers.tick(500);
    waiting.enter(waiter('b'));
    mock.timers.tick(499);
    assert.deepEqual(givenUp, []);
    mock.timers.tick(251);
    assert.deepEqual(givenUp, ['a']);
    mock.timers.tick(500);
    assert.deepEqual(givenUp, ['a', 'b']);
  });

  it('that got their connection are left in peace', (t) => {
    const { waiting, givenUp, waiter, stop } = start(10);
    t.after(stop);
    const a = waiter('a');
    const ticket = waiting.enter(a);
    assert.ok(ticket !== undefined);
    waiting.leave(ticket, a);
    const again = waiting.enter(waiter('b'));
    assert.equal(again, ticket);
    // A late second goodbye is not somebody else's.
    waiting.leave(ticket, a);
    mock.timers.tick(5000);
    assert.deepEqual(givenUp, ['b']);
  });

  it('are never more than allowed', (t) => {
    const { waiting, waiter, stop } = start(2);
    t.after(stop);
    const a = waiter('a');
    assert.equal(waiting.enter(a), 0);
    assert.equal(waiting.enter(waiter('b')), 1);
    assert.equal(waiting.enter(waiter('c')), undefined);
    waiting.leave(0, a);
    assert.equal(waiting.enter(waiter('d')), 0);
    waiting.close();
  });

  it('wait for nothing once it was closed: who comes then is turned away, who was there is not asked again', (t) => {
    const { waiting, givenUp, waiter, stop } = start(2);
    t.after(stop);
    waiting.enter(waiter('a'));
    waiting.close();
    assert.equal(waiting.enter(waiter('b')), undefined);
    mock.timers.tick(5000);
    assert.deepEqual(givenUp, []);
  });
});

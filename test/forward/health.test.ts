import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Health } from '../../src/forward/health.ts';

const open: Health[] = [];
after(() => {
  for (const health of open) health.close();
});

/** A health whose probes are answered by the test, and what it told. */
function start(pauses = { firstMs: 1, longestMs: 4 }) {
  const changes: string[] = [];
  const probes: ((cause: Error | undefined) => void)[] = [];
  let probed: () => void = () => undefined;
  const health = new Health({
    pauses,
    probe: (done) => {
      probes.push(done);
      probed();
      return () => undefined;
    },
    onChange: (cause) => changes.push(cause === undefined ? 'back' : 'left alone'),
  });
  open.push(health);
  const nextProbe = async (): Promise<(cause: Error | undefined) => void> => {
    if (probes.length === 0) await new Promise<void>((resolve) => (probed = resolve));
    return probes.shift() ?? assert.fail();
  };
  return { health, changes, nextProbe, probes };
}

describe('an address', () => {
  it('that cannot be reached is left alone, and told of once', () => {
    const { health, changes } = start();
    for (let i = 0; i < 5; i += 1) health.unreachable(new Error('x'));
    assert.equal(health.isLeftAlone, true);
    assert.deepEqual(changes, ['left alone']);
  });

  it('is back when a connection can be opened, and tried again as often as it takes', async () => {
    const { health, changes, nextProbe } = start();
    health.unreachable(new Error('x'));
    (await nextProbe())(new Error('still'));
    (await nextProbe())(new Error('still'));
    assert.equal(health.isLeftAlone, true);
    (await nextProbe())(undefined);
    assert.equal(health.isLeftAlone, false);
    assert.deepEqual(changes, ['left alone', 'back']);
  });

  it('that closes a connection without an answer now and then is not left alone', () => {
    const { health } = start();
    for (let i = 0; i < 20; i += 1) {
      health.cut(new Error('x'));
      health.cut(new Error('x'));
      health.answered();
    }
    assert.equal(health.isLeftAlone, false);
  });

  it('that does so three times in a row is', () => {
    const { health } = start();
    for (let i = 0; i < 3; i += 1) health.cut(new Error('x'));
    assert.equal(health.isLeftAlone, true);
  });

  it('that is back is on trial: the next failure is enough, until it answers', async () => {
    const { health, changes, nextProbe } = start();
    health.unreachable(new Error('x'));
    (await nextProbe())(undefined);
    health.cut(new Error('x'));
    assert.deepEqual(changes, ['left alone', 'back', 'left alone']);
    (await nextProbe())(undefined);
    health.answered();
    health.cut(new Error('x'));
    assert.equal(health.isLeftAlone, false);
  });

  it('that answers while it is left alone is back at once, without a probe', (test) => {
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const { health, changes, probes } = start();
    health.unreachable(new Error('x'));
    health.answered();
    assert.deepEqual(changes, ['left alone', 'back']);
    test.mock.timers.tick(1000);
    assert.equal(probes.length, 0);
  });

  it('that is given up is asked no more', (test) => {
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const { health, changes, probes } = start();
    health.unreachable(new Error('x'));
    health.close();
    test.mock.timers.tick(1000);
    health.unreachable(new Error('x'));
    assert.equal(probes.length, 0);
    assert.deepEqual(changes, ['left alone']);
  });

  it('is left alone twice as long each time, up to a bound', async (test) => {
    test.mock.timers.enable({ apis: ['setTimeout'] });
    const { health, probes } = start({ firstMs: 1000, longestMs: 30_000 });
    health.unreachable(new Error('x'));
    for (const pauseMs of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
      test.mock.timers.tick(pauseMs - 1);
      assert.equal(probes.length, 0);
      test.mock.timers.tick(1);
      (probes.shift() ?? assert.fail('no probe'))(new Error('still'));
    }
  });
});

// Sign-outs are remembered in a bounded memory. Whoever fills it, by signing in and out in a script, must bring nobody back who
// signed out: not other people, not themselves.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { SessionMarks } from '../../src/session/marks.ts';
import type { Revoked } from '../../src/session/revocations.ts';
import { createSeal } from '../../src/session/seal.ts';
import { createSharedState } from '../../src/shared-state.ts';
import { leastSettings, makeSettingsFolder, type SettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { createLogLines } from '../flows/log-lines.ts';
import { cookieKey, createTestClock, HOUR, T0 } from '../session/fixtures.ts';

const issuer = 'https://id.example.com';
/** More than a gateway remembers of a kind. */
const FLOOD = 510_000;

describe('the sign-outs of a whole gateway', () => {
  let folder: SettingsFolder;
  let config: Config;
  before(async () => {
    folder = await makeSettingsFolder(leastSettings, secretFiles);
    const loaded = await loadConfig(folder.file);
    assert.equal(loaded.kind, 'config');
    if (loaded.kind === 'config') config = loaded.config;
  });
  after(() => folder.remove());

  const setUp = () => {
    const clock = createTestClock();
    const lines = createLogLines();
    const metrics = createMetrics();
    const state = createSharedState({
      ...{ config, metrics, redis: () => undefined, seal: createSeal([cookieKey(1)]) },
      ...{ log: lines.output.log, now: clock.now },
    });
    metrics.stop();
    const { revocations } = state;
    const until = T0 + config.session.absoluteMs;
    const signOut = (of: Revoked) => void revocations.revoke({ of, at: clock.now(), until });
    return { clock, lines, revocations, signOut };
  };

  for (const [what, of] of [
    ['here', here],
    ['at the provider', there],
  ] as const)
    it(`are all still in force after one person has signed out ${what} ${FLOOD} times, and nobody else is signed out`, () => {
      const { clock, lines, revocations, signOut } = setUp();
      const victims = Array.from({ length: 100 }, (_, n) => sessionOf(`victim ${n}`, 0, clock.now()));
      for (const victim of victims) signOut(of(victim));
      const bystander = sessionOf('bystander', 0, clock.now());
      for (let n = 0; n < FLOOD; n += 1) {
        if (n % 1000 === 0) clock.set(clock.now() + 60_000);
        signOut(of(sessionOf('mallory', n, clock.now())));
      }
      for (const victim of victims) assert.equal(revocations.isRevoked(victim), true);
      assert.equal(revocations.isRevoked(bystander), false);
      for (const n of [0, 1, 1234, FLOOD - 1]) assert.equal(revocations.isRevoked(sessionOf('mallory', n, T0)), true);
      assert.deepEqual(lines.of('session.sign_outs_full'), []);
      assert.ok(lines.of('session.sign_outs_of_person').length > 0);
    });

  it(`are all still in force after a thousand accounts have signed out ${FLOOD} times, at the price of older sessions`, () => {
    const { clock, lines, revocations, signOut } = setUp();
    const victim = sessionOf('victim', 0, clock.now());
    signOut(here(victim));
    for (let n = 0; n < FLOOD; n += 1) {
      if (n % 1000 === 0) clock.set(clock.now() + 60_000);
      signOut(here(sessionOf(`mallory ${n % 1000}`, n, clock.now())));
    }
    assert.equal(revocations.isRevoked(victim), true);
    assert.equal(revocations.isRevoked(sessionOf('bystander', 0, clock.now())), false);
    const [line] = lines.of('session.sign_outs_full');
    assert.equal(typeof line?.['refusedUpTo'], 'string');
    clock.set(T0 + config.session.absoluteMs + HOUR);
    assert.equal(revocations.isRevoked(sessionOf('bystander', 0, T0 + HOUR)), false);
  });
});

function here({ handle, subject }: SessionMarks): Revoked {
  return { kind: 'session', handle, issuer, subject };
}

function there({ sid = '', subject }: SessionMarks): Revoked {
  return { kind: 'provider-session', issuer, sid, subject };
}

function sessionOf(subject: string, n: number, startedAt: number): SessionMarks {
  const handle = `${subject} ${n}`;
  return { handle, sid: `sid of ${handle}`, issuer, subject, startedAt };
}

import { setTimeout as pause } from 'node:timers/promises';
import type { Asked } from '../fakes/provider.ts';
import type { Chance } from './chance.ts';
import type { Stage } from './stage.ts';

/** Something that goes wrong for so long, and is mended. */
interface BadDay {
  readonly name: string;
  /** Milliseconds, at most. */
  readonly longestMs: number;
  /** @param forMs how long it lasts; resolves when it is over */
  run(stage: Stage, lasts: () => Promise<void>, chance: Chance): Promise<void>;
}

const questions: readonly Asked[] = ['discovery', 'jwks', 'token', 'userinfo'];
const GIGABYTE = 1 << 30;
/** A gateway reads a megabyte; the system's buffers on both sides take some more. */
const TAKEN_BYTES = 1 << 25;

const redisDays: readonly BadDay[] = [
  {
    name: 'redis frozen',
    longestMs: 8000,
    run: async ({ redis, troubles }, lasts) => {
      const mended = troubles.redis(false);
      redis.freeze();
      await lasts();
      redis.thaw();
      mended();
    },
  },
  {
    name: 'redis killed and empty',
    longestMs: 5000,
    run: async ({ redis, troubles }, lasts) => {
      const mended = troubles.redis(true);
      await redis.kill();
      await lasts();
      await redis.restart();
      mended();
    },
  },
  {
    name: 'redis emptied',
    longestMs: 0,
    run: async ({ redis, troubles }) => {
      const mended = troubles.redis(true);
      await redis.ask('FLUSHALL');
      mended();
    },
  },
  {
    name: 'redis cuts connections',
    longestMs: 0,
    run: async ({ redis, troubles }) => {
      const mended = troubles.redis(false);
      await redis.ask('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => undefined);
      mended();
    },
  },
];

const providerDays: readonly BadDay[] = [
  {
    name: 'provider down',
    longestMs: 20_000,
    run: async ({ provider, troubles }, lasts) => {
      await provider.stop();
      await lasts();
      await provider.restart();
      troubles.noteKeys();
    },
  },
  { name: 'provider slow', longestMs: 2000, run: (stage, lasts) => hold(stage, lasts) },
  { name: 'provider too slow', longestMs: 9000, run: (stage, lasts) => hold(stage, lasts) },
  { name: 'provider says 500', longestMs: 15_000, run: (stage, lasts) => answer(stage, lasts, { status: 500 }) },
  {
    name: 'provider says 429',
    longestMs: 10_000,
    run: (stage, lasts) => answer(stage, lasts, { status: 429, fields: { 'retry-after': '5' } }),
  },
  {
    name: 'provider says garbage',
    longestMs: 15_000,
    run: (stage, lasts, chance) =>
      answer(stage, lasts, {
        status: 200,
        body: chance.oneOf(['<html>maintenance', '{"keys":', '', '[]', 'null', '{}']),
      }),
  },
  {
    name: 'provider promises a gigabyte',
    longestMs: 10_000,
    run: (stage, lasts) =>
      answer(stage, lasts, { status: 200, fields: { 'content-length': String(GIGABYTE) }, body: '{' }),
  },
  {
    name: 'provider sends a gigabyte',
    longestMs: 10_000,
    run: async (stage, lasts) => {
      await answer(stage, lasts, { status: 200, streamedBytes: GIGABYTE });
      const bytes = stage.provider.longestStreamed();
      if (bytes > TAKEN_BYTES) stage.ledger.violate('a huge answer is cut short', { bytes });
    },
  },
  {
    name: 'keys unreachable',
    longestMs: 20_000,
    run: async (stage, lasts) => {
      stage.provider.behaviour.answers.jwks = { status: 503 };
      await lasts();
      delete stage.provider.behaviour.answers.jwks;
      stage.troubles.noteKeys();
    },
  },
  {
    name: 'provider signs with a new key',
    longestMs: 0,
    run: async ({ provider, troubles }) => {
      troubles.noteKeys();
      await provider.rotateKeys({ keepOld: true });
    },
  },
  {
    name: 'provider’s clock is off',
    longestMs: 15_000,
    run: async (stage, lasts, chance) => {
      // Times in tokens are whole seconds, so not the whole minute that is forgiven.
      stage.setProviderClock(chance.oneOf([-58_000, 58_000]));
      await lasts();
      stage.setProviderClock(0);
    },
  },
];

const gatewayDays: readonly BadDay[] = [
  {
    name: 'gateway killed',
    longestMs: 3000,
    run: async (stage, lasts, chance) => {
      const member = chance.oneOf(stage.members);
      await stage.remove(member, 'SIGKILL');
      await lasts();
      await stage.add(member.name.slice(0, 1));
    },
  },
  {
    name: 'gateway replaced',
    longestMs: 0,
    run: async (stage, _lasts, chance) => {
      const member = chance.oneOf(stage.members);
      await stage.add(member.name.slice(0, 1));
      await stage.remove(member, 'SIGTERM');
    },
  },
  { name: 'cookie keys rotated', longestMs: 0, run: (stage) => stage.rotateCookieKeys() },
];

const upstreamDays: readonly BadDay[] = [
  { name: 'upstream resets', longestMs: 0, run: async ({ upstream }) => upstream.reset() },
  {
    name: 'upstream refuses',
    longestMs: 5000,
    run: async ({ upstream }, lasts) => {
      const accept = upstream.refuse();
      await lasts();
      accept();
    },
  },
];

const kinds = { redis: redisDays, provider: providerDays, gateways: gatewayDays, upstream: upstreamDays } as const;

/**
 * Four schedules side by side, one for each kind of trouble, so that troubles of different kinds meet.
 *
 * @param needs.pace how much shorter everything is: 1 is the real thing
 * @returns ends the schedules; resolves when all is mended
 */
export function startBadDays(stage: Stage, needs: { chance: Chance; pace: number }): { stop(): Promise<void> } {
  const over = new AbortController();
  const wait = (ms: number) => pause(ms / needs.pace, undefined, { signal: over.signal }).catch(() => undefined); // stopped
  const schedule = async (name: keyof typeof kinds) => {
    const chance = needs.chance.branch(name);
    for (;;) {
      // Longer without Redis than with it would show little else.
      await wait(chance.between(1000, name === 'redis' ? 15_000 : 9000));
      const day = chance.oneOf<BadDay>(kinds[name]);
      const lastsMs = chance.between(day.longestMs / 4, day.longestMs);
      if (over.signal.aborted) return;
      // All that did not come up have been told of.
      if (stage.members.length === 0) continue;
      const mended = stage.ledger.broke(day.name);
      await day.run(stage, () => wait(lastsMs), chance);
      mended();
    }
  };
  const schedules = (['redis', 'provider', 'gateways', 'upstream'] as const).map(schedule);
  return {
    stop: async () => {
      over.abort();
      await Promise.all(schedules);
    },
  };
}

async function hold({ provider }: Stage, lasts: () => Promise<void>): Promise<void> {
  const release = questions.map((one) => provider.hold(one));
  await lasts();
  for (const one of release) one();
}

async function answer(
  { provider, troubles }: Stage,
  lasts: () => Promise<void>,
  given: NonNullable<Stage['provider']['behaviour']['answers']['token']>,
): Promise<void> {
  for (const one of questions) provider.behaviour.answers[one] = given;
  await lasts();
  for (const one of questions) delete provider.behaviour.answers[one];
  troubles.noteKeys();
}

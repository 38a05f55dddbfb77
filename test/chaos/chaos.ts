import { setTimeout as pause } from 'node:timers/promises';
import { startBadDays } from './bad-days.ts';
import { type Chance, createChance } from './chance.ts';
import { createLedger, type Ledger } from './ledger.ts';
import type { Member } from './member.ts';
import { createPeople, type People } from './people.ts';
import { type Deployment, type Stage, startStage } from './stage.ts';
import { startTraffic } from './traffic.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly deployment: Deployment;
  readonly gateways: 2 | 3;
  /** How long things break; mending and looking take up to a minute more. */
  readonly forMs: number;
  /** How much shorter outages and pauses are: 1 is the real thing. */
  readonly pace: number;
  /** A line of progress every 10 s. */
  readonly say: (line: string) => void;
}

/** Those that a run goes through, in turn. */
export const deployments: readonly Deployment[] = [
  { store: 'cookie', revocations: 'required' },
  { store: 'redis', revocations: 'required' },
  { store: 'cookie', revocations: 'best-effort' },
  { store: 'redis', revocations: 'best-effort' },
];

const SAY_EVERY_MS = 10_000;
const SESSIONS = 15;
/** By then everything that is open without use is closed again. */
const QUIET_MS = 60_000;
/** Connections that are kept for the next request: to Redis, the provider and the service. */
const KEPT_DESCRIPTORS = 12;
/** Resident memory above what it was after the start, at most: Node gives back what it has no use for when it likes. */
const GROWN_BYTES = 250 * 1024 * 1024;

/** Breaks everything that can break, in an order that the seed decides, and writes down what should not have happened. */
export async function runChaos(options: ChaosOptions): Promise<Ledger> {
  const ledger = createLedger();
  const chance = createChance(options.seed);
  const stage = await startStage({ ...options, ledger });
  const people = createPeople(stage, chance.branch('people'));
  const told = setInterval(() => options.say(progress(options, ledger, people)), SAY_EVERY_MS);
  try {
    await Promise.all(stage.members.map(knowsSignOuts));
    const before = await atRest(stage.members);
    const traffic = startTraffic(stage, people, chance.branch('traffic'), SESSIONS);
    const badDays = startBadDays(stage, { chance: chance.branch('bad days'), pace: options.pace });
    await pause(options.forMs);
    await badDays.stop();
    await mended(stage, people, chance);
    await traffic.stop();
    await people.close();
    await comesBack(stage, before);
  } finally {
    clearInterval(told);
    await stage.stop();
  }
  return ledger;
}

/** On a Redis that is new that takes a moment. */
async function knowsSignOuts(member: Member): Promise<void> {
  const until = Date.now() + QUIET_MS;
  while ((await member.metric('flytegate_revocations_current')) !== 1 && Date.now() < until) await pause(100);
}

/** What a line of progress says: how far, with which seed, what is broken now, and counts by outcome. */
function progress({ seed, deployment }: ChaosOptions, ledger: Ledger, people: People): string {
  const counts = [...ledger.counts].filter(([what]) => /^(session|signed out|bearer|stranger|VIOLATED)/.test(what));
  const sums = counts.sort(([a], [b]) => a.localeCompare(b)).map(([what, count]) => `${what}: ${count}`);
  const broken = ledger.broken.join(', ') || 'nothing';
  const at = `${Math.round(ledger.elapsedMs() / 1000)}s seed ${seed} ${deployment.store}/${deployment.revocations}`;
  return `[${at}] broken: ${broken} | ${people.signedIn.length} signed in | ${sums.join(', ')}`;
}

/** With everything mended, somebody new can sign in, ask, and sign out. */
async function mended(stage: Stage, people: People, chance: Chance): Promise<void> {
  const until = Date.now() + QUIET_MS;
  for (;;) {
    const person = await people.signIn();
    const heard = person && (await people.ask(person, '/api/v1/projects'));
    if (person && heard?.status === 200) {
      await people.signOut(person, chance.oneOf(['person', 'provider', 'operator']));
      if (people.signedOut.some(({ subject }) => subject === person.subject)) return;
    }
    if (Date.now() > until) {
      stage.ledger.violate('everything works again in the end', { status: heard?.status ?? 'no sign-in' });
      return;
    }
    // Between two tries, as after an outage some things are left alone for a few seconds.
    await pause(500);
  }
}

interface AtRest {
  readonly descriptors: number;
  readonly memory: number;
}

async function atRest(members: readonly Member[]): Promise<AtRest> {
  const all = await Promise.all(
    members.map(async (member) => ({
      descriptors: (await member.descriptors()) ?? 0,
      memory: (await member.metric('flytegate_memory_bytes')) ?? 0,
    })),
  );
  return {
    descriptors: Math.max(...all.map(({ descriptors }) => descriptors)),
    memory: Math.max(...all.map(({ memory }) => memory)),
  };
}

/** Waits until every gateway has closed what nobody uses; a minute at most. */
async function comesBack(stage: Stage, before: AtRest): Promise<void> {
  const until = Date.now() + QUIET_MS;
  for (const member of stage.members) {
    for (;;) {
      const { descriptors, memory } = await atRest([member]);
      const inFlight = (await member.metric('flytegate_upstream_requests_in_flight')) ?? 0;
      const isBack =
        descriptors <= before.descriptors + KEPT_DESCRIPTORS && memory <= before.memory + GROWN_BYTES && inFlight === 0;
      stage.ledger.count('looked at memory and sockets');
      if (isBack) break;
      if (Date.now() > until) {
        const found = { name: member.name, descriptors, memory, inFlight, before };
        stage.ledger.violate('memory and sockets come back', found);
        break;
      }
      await pause(500);
    }
  }
}

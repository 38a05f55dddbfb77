import { setTimeout as pause } from 'node:timers/promises';
import { startBadDays } from './bad-days.ts';
import { type Chance, createChance } from './chance.ts';
import { createLedger, describeViolation, type Ledger } from './ledger.ts';
import type { Member } from './member.ts';
import { createPeople, type People } from './people.ts';
import { type Deployment, type Stage, startStage } from './stage.ts';
import { streamKinds, watchStream } from './streams.ts';
import { askAsSignedOut, startTraffic } from './traffic.ts';

export interface ChaosOptions {
  readonly seed: number;
  readonly deployment: Deployment;
  readonly gateways: 2 | 3;
  /** How long things break; mending and looking take up to a minute more. */
  readonly forMs: number;
  /** How much shorter outages and pauses are: 1 is the real thing. */
  readonly pace: number;
  /** Told a line of progress every 10 s, and each violation as it happens. */
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
const TRAFFIC = { sessions: 15 } as const;
/** By then everything that is open without use is closed again. */
const QUIET_MS = 60_000;
/** Until all streams that somebody has asked for are open. */
const OPENED_MS = 5000;
/** Connections that are kept for the next request: to Redis, the provider and the service. */
const KEPT_DESCRIPTORS = 12;
/** Resident memory above what it was after the start, at most: Node gives back what it has no use for when it likes. */
const GROWN_BYTES = 250 * 1024 * 1024;

/** Breaks everything that can break, in an order that the seed decides, and writes down what should not have happened. */
export async function runChaos(options: ChaosOptions): Promise<Ledger> {
  const { say } = options;
  const ledger = createLedger((violation) => say(describeViolation(violation)));
  const chance = createChance(options.seed);
  const stage = await startStage({ ...options, ledger });
  const people = createPeople(stage, chance.branch('people'));
  let doing: Doing = 'breaking';
  const told = setInterval(() => say(progress(ledger, people, doing)), SAY_EVERY_MS);
  try {
    await Promise.all(stage.members.map(knowsSignOuts));
    const before = await atRest(stage.members);
    const traffic = startTraffic(stage, people, { chance: chance.branch('traffic'), ...TRAFFIC, ...options });
    const badDays = startBadDays(stage, { chance: chance.branch('bad days'), pace: options.pace });
    await pause(options.forMs);
    doing = 'mending';
    await badDays.stop();
    await mended(stage, people, chance);
    await traffic.stop();
    await people.close();
    doing = 'waiting for memory and sockets to come back';
    await comesBack(stage, before);
  } finally {
    clearInterval(told);
    await stage.stop();
    if (ledger.violations.length > 0) say(`what the gateways logged: ${stage.folder}`);
  }
  return ledger;
}

/** On a Redis that is new that takes a moment. */
async function knowsSignOuts(member: Member): Promise<void> {
  const until = Date.now() + QUIET_MS;
  while ((await member.metric('flytegate_revocations_current')) !== 1 && Date.now() < until) await pause(100);
}

type Doing = 'breaking' | 'mending' | 'waiting for memory and sockets to come back';

/** What came of the requests so far, in words: by how their counts begin and end. */
const outcomes: readonly (readonly [word: string, counts: RegExp])[] = [
  ['let in', /^(session|bearer) 200$/],
  ['could not tell', /^(session|bearer) 50.$/],
  ['rightly refused', /^(signed out|stranger) 401$/],
  ['as nobody can prevent', /nobody could help it|key that is too new|not known everywhere yet/],
  ['VIOLATED', /^VIOLATED/],
];

/** A line of progress: what came of the requests, and what is broken now. */
function progress(ledger: Ledger, people: People, doing: Doing): string {
  const sums = outcomes.map(([word, counts]) => {
    const all = [...ledger.counts].filter(([what]) => counts.test(what));
    return [word, all.reduce((sum, [, count]) => sum + count, 0)] as const;
  });
  const said = sums.filter(([, sum]) => sum > 0).map(([word, sum]) => `${sum} ${word}`);
  const broken = doing === 'breaking' ? `broken: ${ledger.broken.join(', ') || 'nothing'}` : doing;
  return `${people.signedIn.length} signed in; ${said.join(', ')} | ${broken}`;
}

/** Waits until everything works again; a minute at most. */
async function mended(stage: Stage, people: People, chance: Chance): Promise<void> {
  const until = Date.now() + QUIET_MS;
  while (!(await worksAgain(stage, people, chance))) {
    if (Date.now() > until) {
      stage.ledger.violate('everything works again in the end', {});
      return;
    }
    // Between two tries, as after an outage some things are left alone for a few seconds.
    await pause(500);
  }
}

/** Somebody new can sign in, ask, and watch through every gateway; who signs out is out, and all of that ends. */
async function worksAgain(stage: Stage, people: People, chance: Chance): Promise<boolean> {
  const person = await people.signIn();
  if (!person || (await people.ask(person, '/api/v1/projects'))?.status !== 200) return false;
  const over = new AbortController();
  const asked = stage.members.flatMap((through) => streamKinds.map((kind) => ({ person, through, kind })));
  const ended = Promise.all(asked.map((one) => watchStream(stage, one, over.signal)));
  const until = Date.now() + OPENED_MS;
  while (person.streams.length < asked.length && Date.now() < until) await pause(20);
  const isWatching = person.streams.length === asked.length && !person.isLeaving;
  if (isWatching) await people.signOut(person, chance.oneOf(['person', 'provider', 'operator']));
  const out = people.signedOut.find(({ subject }) => subject === person.subject);
  const isOut = isWatching && out !== undefined && (await askAsSignedOut(stage, people, out, '/me')) === 401;
  if (!isOut) over.abort();
  await ended;
  return isOut;
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

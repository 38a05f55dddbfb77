import { setTimeout as pause } from 'node:timers/promises';
import { generateKeyPair, SignJWT } from 'jose';
import type { Chance } from './chance.ts';
import type { Heard, People, Person, SignOutBy } from './people.ts';
import type { Stage } from './stage.ts';
import { streamKinds, watchStream } from './streams.ts';

/** Everybody's requests, until it is stopped. */
export interface Traffic {
  /** Resolves when the last request has been answered. */
  stop(): Promise<void>;
}

const pages = ['/me', '/me', '/api/v1/projects', '/api/v1/whoami'];
/** "Could not tell", and from routes the service's own troubles. */
const troubled = [502, 503, 504];

/**
 * Browsers with sessions, callers with tokens, open streams, people who sign out, and strangers who try what they can; every
 * answer is compared with what may be.
 */
export function startTraffic(
  stage: Stage,
  people: People,
  needs: { chance: Chance; sessions: number; pace: number },
): Traffic {
  const { chance, sessions, pace } = needs;
  const over = new AbortController();
  const loops: Promise<void>[] = [];
  const every = (ms: number, step: () => Promise<unknown>) => {
    const loop = async () => {
      while (!over.signal.aborted) {
        await step();
        // The pause is the traffic's rate; nothing is waited for with it.
        await pause(chance.between(ms / 2, ms * 1.5), undefined, { signal: over.signal }).catch(() => undefined);
      }
    };
    loops.push(loop());
  };
  every(60, () => fill(people, sessions));
  for (let n = 0; n < 8; n += 1) every(80, () => askAsSomebody(stage, people, chance));
  for (let n = 0; n < 2; n += 1)
    every(60, async () => {
      if (people.signedOut.length > 0)
        await askAsSignedOut(stage, people, chance.oneOf(people.signedOut), chance.oneOf(pages));
    });
  every(150, createStrangers(stage, people, chance));
  every(100, createBearers(stage, people, chance));
  every(1500 / pace, async () => {
    if (people.signedIn.length <= 2) return;
    const person = chance.oneOf(whoLeaves(stage, people, chance));
    await people.signOut(person, chance.oneOf<SignOutBy>(['person', 'provider', 'operator']));
  });
  for (let n = 0; n < 8; n += 1)
    every(200, async () => {
      if (people.signedIn.length === 0 || stage.members.length === 0) return;
      const [person, through] = [chance.oneOf(people.signedIn), chance.oneOf(stage.members)];
      await watchStream(stage, { person, through, kind: chance.oneOf(streamKinds) }, over.signal);
    });
  return {
    stop: async () => {
      over.abort();
      await Promise.all(loops);
    },
  };
}

/** Anybody, or one who has a stream open, at a gateway that is about to go if there is such a one. */
function whoLeaves({ members }: Stage, { signedIn }: People, chance: Chance): readonly Person[] {
  const watching = signedIn.filter(({ streams }) => streams.length > 0);
  if (watching.length === 0 || chance.between(0, 2) === 0) return signedIn;
  const there = new Set(members.map(({ name }) => name));
  const atLeaving = watching.filter(({ streams }) => streams.some((name) => !there.has(name)));
  return atLeaving.length > 0 ? atLeaving : watching;
}

/** Signs somebody in when there are too few. */
async function fill(people: People, sessions: number): Promise<void> {
  if (people.signedIn.length < sessions) await people.signIn();
}

async function askAsSomebody(stage: Stage, people: People, chance: Chance): Promise<void> {
  if (people.signedIn.length === 0) return;
  const person = chance.oneOf(people.signedIn);
  const path = chance.oneOf(pages);
  // Twice at once, at whichever gateways: as browsers do when they load a page.
  const twice = chance.between(0, 2) === 0 ? [path, '/me'] : [path];
  await Promise.all(
    twice.map(async (one) => {
      const heard = await people.ask(person, one);
      judgeSomebody(stage, people, { person, path: one, heard });
    }),
  );
}

/** A live session hears 200, or that nobody could tell. */
function judgeSomebody(
  { ledger, troubles }: Stage,
  people: People,
  { person, path, heard }: { person: Person; path: string; heard: Heard | undefined },
): void {
  ledger.count(`session ${heard?.status ?? 'cut'}`);
  // Whoever is leaving may hear anything but a mistake.
  if (heard === undefined || person.isLeaving || person.isGone) return;
  const { status, isCleared, body } = heard;
  if (status === 200 && !isCleared) return;
  if (!isCleared && troubled.includes(status) && (path !== '/me' || status === 503)) return;
  const why = troubles.mayBeGone(person);
  if (why !== undefined && status === 401) ledger.count(`signed out, and nobody could help it: ${why}`);
  else
    ledger.violate('nobody is signed out wrongly', {
      ...{ subject: person.subject, begunAt: new Date(person.begunAt).toISOString(), path, status, isCleared },
      body: body.slice(0, 200),
    });
  person.isGone = true;
  const at = people.signedIn.indexOf(person);
  if (at >= 0) people.signedIn.splice(at, 1);
}

/**
 * Asks with the cookies of somebody who has signed out.
 *
 * @returns the status of the answer, if there was one
 */
export async function askAsSignedOut(
  stage: Stage,
  people: People,
  person: Person,
  path: string,
): Promise<number | undefined> {
  const { ledger, troubles, clock } = stage;
  const askedAt = clock.now();
  const heard = await people.ask({ ...person, jar: new Map(person.jar) }, path);
  ledger.count(`signed out ${heard?.status ?? 'cut'}`);
  if (heard?.status !== 200) return heard?.status;
  const { ackAt = 0, subject } = person;
  if (askedAt > troubles.inForceAt(ackAt))
    ledger.violate('nobody is let in wrongly', { subject, signedOutMsAgo: askedAt - ackAt });
  else ledger.count('signed out, and not known everywhere yet');
  return heard.status;
}

function createStrangers(stage: Stage, people: People, chance: Chance): () => Promise<void> {
  const foreign = generateKeyPair('RS256');
  const forge = async () => {
    const { privateKey } = await foreign;
    const claims = { iss: stage.provider.issuer, sub: 'mallory', aud: `http://${stage.host}`, scope: 'all' };
    const token = new SignJWT({ ...claims, iat: now(), exp: now() + 300 });
    return token.setProtectedHeader({ alg: 'RS256', kid: String(stage.provider.publicJwk().kid) }).sign(privateKey);
  };
  return async () => {
    const [somebody] = people.signedIn;
    const sealed = [...(somebody?.jar ?? [])].map(([name, value]) => `${name}=${flip(value, chance)}`).join('; ');
    const fields = chance.oneOf<Readonly<Record<string, string>>>([
      {},
      { cookie: sealed },
      { cookie: '__Host-flytegate=made-up' },
      { authorization: `Bearer ${await forge()}` },
      { authorization: 'Bearer made-up' },
      { 'x-auth-request-user': 'ada' },
    ]);
    const heard = await people.ask(undefined, chance.oneOf(pages), fields);
    stage.ledger.count(`stranger ${heard?.status ?? 'cut'}`);
    if (heard?.status === 200) stage.ledger.violate('nobody is let in wrongly', { stranger: Object.keys(fields) });
  };
}

/** Changes one character in the middle, where no bit of it is padding. */
function flip(text: string, chance: Chance): string {
  const at = Math.floor(text.length / 2) + chance.between(0, 5);
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`;
}

function createBearers(stage: Stage, people: People, chance: Chance): () => Promise<void> {
  const { provider, ledger, troubles } = stage;
  return async () => {
    // Long enough for any clock, and anew each time, so that it is proved each time.
    const token = await provider.accessToken({ exp: now() + 600, sub: `bearer-${chance.between(1, 5)}` });
    const path = chance.oneOf(pages);
    const heard = await people.ask(undefined, path, { 'flyte-authorization': `Bearer ${token}` });
    ledger.count(`bearer ${heard?.status ?? 'cut'}`);
    if (heard === undefined || heard.status === 200 || troubled.includes(heard.status)) return;
    if (heard.status === 401 && troubles.areKeysUnsettled()) ledger.count('bearer refused for a key that is too new');
    else ledger.violate('nobody is signed out wrongly', { bearer: path, status: heard.status, body: heard.body });
  };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

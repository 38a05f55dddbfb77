import { hash } from 'node:crypto';
import { z } from 'zod';
import type { Redis } from '../redis/redis.ts';
import type { SessionLimits } from './limits.ts';
import { marksOf, type SessionMarks } from './marks.ts';
import { OF_PERSON, PAGE } from './redis-scripts.ts';
import type { Seal } from './seal.ts';
import type { Session } from './session.ts';
import type { ListedSession, SessionList, Whereabouts } from './session-list.ts';

interface ListNeeds {
  readonly redis: Redis;
  readonly seal: Seal;
}

/** Keys that one page looks at. */
const PAGE_KEYS = 500;
/** More of a user agent tells its owner nothing. */
const LONGEST_AGENT = 512;

/** What a session is listed by, sealed with the gateway's keys: it opens nothing, but says who is signed in from where. */
export function sealEntry(
  session: Session,
  from: Whereabouts,
  { seal, limits }: { seal: Seal; limits: SessionLimits },
): Promise<string> {
  const { address } = from;
  const userAgent = from.userAgent.slice(0, LONGEST_AGENT);
  // All marks: by whichever a session is signed out, it must be known in a list as well.
  const entry = { ...marksOf(session), userAgent, address, endsAt: session.startedAt + limits.absoluteMs };
  return seal.seal('session-index', entry);
}

/** The key of a person's sessions: a digest, as nobody has to read it back. */
export function personKey(redis: Redis, { issuer, subject }: Pick<SessionMarks, 'issuer' | 'subject'>): string {
  return redis.key('p', hash('sha256', JSON.stringify([issuer, subject]), 'base64url'));
}

/** Lists by the sealed entries; one that no key opens any more is left out. */
export function createRedisList({ redis, seal }: ListNeeds): SessionList {
  const open = async (found: unknown): Promise<ListedSession[]> => {
    const entries = await Promise.all(pairs(found).map((pair) => openEntry(pair, seal)));
    return entries.filter((entry) => entry !== undefined);
  };
  return {
    ofPerson: async (person) => {
      const keys = ['1', personKey(redis, person)];
      return open(await redis.send(['EVAL', OF_PERSON, ...keys, redis.key('s', '')]));
    },
    page: async (cursor = '0') => {
      // Ours come back as we gave them out; anything else would be refused by Redis.
      const at = /^\d{1,20}$/.test(cursor) ? cursor : '0';
      const reply = await redis.send(['EVAL', PAGE, '0', at, `${redis.key('s', '')}*`, String(PAGE_KEYS)]);
      const [next, found] = Array.isArray(reply) ? reply : [];
      const sessions = await open(found);
      return next === '0' || typeof next !== 'string' ? { sessions } : { sessions, cursor: next };
    },
  };
}

function pairs(found: unknown): readonly (readonly [string, string])[] {
  return z
    .array(z.tuple([z.string(), z.string()]))
    .catch([])
    .parse(found);
}

async function openEntry([sealed, seen]: readonly [string, string], seal: Seal): Promise<ListedSession | undefined> {
  const entry = shape.safeParse(await seal.open('session-index', sealed)).data;
  return entry && { ...entry, seenAt: Number(seen) };
}

const shape = z.object({
  handle: z.string(),
  issuer: z.string(),
  subject: z.string(),
  sid: z.string().exactOptional(),
  startedAt: z.number(),
  endsAt: z.number(),
  userAgent: z.string(),
  address: z.string(),
});

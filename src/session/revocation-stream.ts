import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Clock, Millis } from '../config/units.ts';
import type { Redis } from '../redis/redis.ts';
import type { Revocation } from './revocations.ts';
import type { Seal } from './seal.ts';

/** Revocations in Redis in the order in which they came, as one replica reads them. All throw {Failure} `store_unreachable`. */
export interface RevocationStream {
  /** Adds at the end; all replicas read it there. */
  add(revocations: readonly Revocation[]): Promise<void>;
  /**
   * Reads on, a thousand at most.
   *
   * @param blockMs how long to wait for a first one where there is none; 0 for not at all
   * @returns `isLast` when there was no more at that moment; `sealed`: how many could not be opened
   */
  read(blockMs: Millis): Promise<{
    readonly revocations: readonly Revocation[];
    readonly sealed: number;
    readonly isLast: boolean;
  }>;
  /** Reads from the beginning again. */
  rewind(): void;
  /**
   * Looks whether the stream is another one than it was, or lacks what was read last: told once.
   *
   * @returns also how long this one is young still: it may be one that was emptied, and lack what others are about to tell
   */
  look(): Promise<{ readonly hasLost: boolean; readonly youngMs: Millis }>;
}

export interface RevocationStreamNeeds {
  /** To add. */
  readonly commands: Redis;
  /** To read, which waits. */
  readonly listener: Redis;
  readonly seal: Seal;
  /** Entries that are older are of no interest any more. */
  readonly absoluteMs: Millis;
  /** How long a stream is young; three seconds. */
  readonly youngForMs?: Millis;
  readonly now: Clock;
}

/** In one answer. */
const PAGE = 1000;
/** In one command. */
const BATCH = 200;
/** Ids of entries are made by Redis's clock: as far as that may be from ours. */
const SLACK_MS: Millis = 3_600_000;
/** All who have followed it before are back by then. */
const YOUNG_MS: Millis = 3000;
const BEGINNING = '0-0';

/**
 * KEYS: stream, epoch, youth. ARGV: id that older entries may go by, ttl, an epoch if there is none, how long it is young, then
 * until and sealed revocation of each. It begins with a write that takes no room, as a full Redis would refuse it otherwise. The
 * epoch is a name for the stream as it grew up: one that was emptied gets another.
 */
const ADD = `
redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
if not redis.call('GET', KEYS[2]) then
  redis.call('SET', KEYS[2], ARGV[3])
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
end
for at = 5, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'u', ARGV[at], 'r', ARGV[at + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return 1`;

/**
 * KEYS: stream, epoch, youth. ARGV: the last id read, ttl, an epoch if there is none, how long it is young. Answers with the
 * epoch, 1 if that id is there, and how long it is young still. It begins with a write that takes no room, too.
 */
const STATE = `
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  epoch = ARGV[3]
  redis.call('DEL', KEYS[2])
  redis.call('SET', KEYS[2], epoch)
  redis.call('SET', KEYS[3], '1', 'PX', ARGV[4])
end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {epoch, #redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1]), redis.call('PTTL', KEYS[3])}`;

export function createRevocationStream(needs: RevocationStreamNeeds): RevocationStream {
  const { commands, listener, seal, absoluteMs, now, youngForMs = YOUNG_MS } = needs;
  const ttl = String(absoluteMs + SLACK_MS);
  const young = String(youngForMs);
  let last = BEGINNING;
  let epoch: string | undefined;
  const key = (name?: string) => commands.key('revocations', name);
  const keys = () => ['3', key(), key('epoch'), key('young')];
  return {
    add: async (revocations) => {
      for (let at = 0; at < revocations.length; at += BATCH) {
        const batch = revocations
          .slice(at, at + BATCH)
          .map(async (one) => [String(one.until), await sealOne(one, seal)]);
        const oldest = `${Math.max(0, Math.floor(now() - absoluteMs - SLACK_MS))}-0`;
        const entries = (await Promise.all(batch)).flat();
        await commands.send(['EVAL', ADD, ...keys(), oldest, ttl, randomUUID(), young, ...entries]);
      }
    },
    read: async (blockMs) => {
      const block = blockMs > 0 ? ['BLOCK', String(blockMs)] : [];
      const from = ['STREAMS', key(), last];
      const entries = entriesIn(await listener.send(['XREAD', 'COUNT', String(PAGE), ...block, ...from], { blockMs }));
      const alive = entries.filter(({ until }) => until > now());
      const opened = await Promise.all(alive.map(({ sealed }) => openOne(sealed, seal)));
      last = entries.at(-1)?.id ?? last;
      const revocations = opened.filter((one) => one !== undefined);
      return { revocations, sealed: opened.length - revocations.length, isLast: entries.length < PAGE };
    },
    rewind: () => {
      last = BEGINNING;
    },
    look: async () => {
      const reply = await listener.send(['EVAL', STATE, ...keys(), last, ttl, randomUUID(), young]);
      const [current, found, leftMs] = Array.isArray(reply) ? reply : [];
      const isSame = (epoch ?? current) === current && (last === BEGINNING || found === 1);
      epoch = String(current);
      return { hasLost: !isSame, youngMs: Math.max(0, Number(leftMs)) };
    },
  };
}

function sealOne(revocation: Revocation, seal: Seal): Promise<string> {
  return seal.seal('revocation', revocation);
}

async function openOne(sealed: string, seal: Seal): Promise<Revocation | undefined> {
  return shape.safeParse(await seal.open('revocation', sealed)).data;
}

const text = z.string().min(1);
const shape = z.object({
  of: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('session'), handle: text, issuer: text.optional(), subject: text.optional() }),
    z.object({ kind: z.literal('provider-session'), issuer: text, sid: text, subject: text.optional() }),
    z.object({ kind: z.literal('person'), issuer: text, subject: text }),
    z.object({ kind: z.literal('person-without-sid'), issuer: text, subject: text }),
    z.object({ kind: z.literal('everybody') }),
  ]),
  at: z.number(),
  until: z.number(),
});

/** The answer of XREAD for one stream: nothing, or its name and entries of an id and fields in a row. */
const reply = z
  .tuple([z.tuple([z.string(), z.array(z.tuple([z.string(), z.array(z.string())]))])])
  .transform(([[, entries]]) => entries);

function entriesIn(answer: unknown): readonly { id: string; until: Millis; sealed: string }[] {
  return (reply.safeParse(answer).data ?? []).map(([id, fields]) => {
    const fieldOf = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
    return { id, until: Number(fieldOf('u')), sealed: fieldOf('r') };
  });
}

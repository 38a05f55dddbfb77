import type { Clock, Millis } from '../config/units.ts';
import { personOf, type Revocation } from './revocation.ts';

/** Revocations of one kind, in the order in which they came, and how many there are of each person where that is known. */
export interface RevocationList {
  readonly size: number;
  /** @returns whether anything became refused by it */
  add(key: string, revocation: Revocation): boolean;
  /** In force. */
  get(key: string): Revocation | undefined;
  /** In force. */
  all(): readonly Revocation[];
  /** Of one person; those that are over may be among them until `sweep`. */
  countOf(person: string): number;
  /** Forgets those that are over, all or one person's. */
  sweep(person?: string): void;
  /** Takes so many of those in force out that came first, of all or of one person. */
  take(count: number, person?: string): readonly Revocation[];
}

/** Sweeps of the whole list walk over all of it: a storm of sign-outs at its bound must not do that each time. */
const SWEEP_MS: Millis = 1000;

export function createRevocationList({ now }: { readonly now: Clock }): RevocationList {
  // A Map keeps the order in which its keys came; a cache with room set aside for half a million would take 20 MB empty.
  const list = new Map<string, Revocation>();
  const counts = new Map<string, number>();
  let sweptAt = now();

  const count = (of: Revocation['of'], more: 1 | -1) => {
    const person = personOf(of);
    if (person === undefined) return;
    const sum = (counts.get(person) ?? 0) + more;
    if (sum > 0) counts.set(person, sum);
    else counts.delete(person);
  };
  const remove = (key: string) => {
    const known = list.get(key);
    if (known && list.delete(key)) count(known.of, -1);
  };
  const isOf = (person: string | undefined, { of }: Revocation) => person === undefined || personOf(of) === person;
  const get = (key: string) => {
    const known = list.get(key);
    return known !== undefined && now() <= known.until ? known : undefined;
  };
  return {
    get size() {
      return list.size;
    },
    get,
    add: (key, revocation) => {
      const known = get(key);
      const at = Math.max(known?.at ?? 0, revocation.at);
      const until = Math.max(known?.until ?? 0, revocation.until);
      if (until <= now() || (known?.at === at && known.until === until)) return false;
      remove(key);
      list.set(key, { of: revocation.of, at, until });
      count(revocation.of, 1);
      return true;
    },
    all: () => [...list.values()].filter(({ until }) => now() <= until),
    countOf: (person) => counts.get(person) ?? 0,
    sweep: (person) => {
      if (person === undefined && now() - sweptAt < SWEEP_MS) return;
      if (person === undefined) sweptAt = now();
      for (const [key, one] of list) if (one.until < now() && isOf(person, one)) remove(key);
    },
    take: (most, person) => {
      const taken: Revocation[] = [];
      for (const [key, one] of list) {
        if (taken.length === most) break;
        if (!isOf(person, one)) continue;
        remove(key);
        if (one.until >= now()) taken.push(one);
      }
      return taken;
    },
  };
}

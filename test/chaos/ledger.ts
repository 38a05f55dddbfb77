import { performance } from 'node:perf_hooks';

/** What must hold, whatever breaks. */
export type Invariant =
  | 'nobody is let in wrongly'
  | 'nobody is signed out wrongly'
  | 'a refresh token is spent once'
  | 'what a signed-out session has open ends'
  | 'a gateway starts, whatever is down'
  | 'a gateway ends only when it is told to, and then in time'
  | 'no mistake of ours shows'
  | 'memory and sockets come back'
  | 'a huge answer is cut short'
  | 'everything works again in the end';

export interface Violation {
  readonly invariant: Invariant;
  /** Milliseconds since the run began. */
  readonly atMs: number;
  readonly facts: Readonly<Record<string, unknown>>;
  /** What was broken at that moment. */
  readonly broken: readonly string[];
}

/** What happened: counts, what is broken now, and what should not have been. */
export interface Ledger {
  count(what: string): void;
  violate(invariant: Invariant, facts: Readonly<Record<string, unknown>>): void;
  /** Something is broken until the returned function is called. */
  broke(what: string): () => void;
  readonly counts: ReadonlyMap<string, number>;
  readonly broken: readonly string[];
  /** The first hundred. */
  readonly violations: readonly Violation[];
  /** What happened when, the last two hundred things. */
  readonly story: readonly string[];
  elapsedMs(): number;
}

/** @param onViolation told of each of the first hundred as it happens */
export function createLedger(onViolation: (violation: Violation) => void): Ledger {
  const begunAt = performance.now();
  const counts = new Map<string, number>();
  const broken = new Map<symbol, string>();
  const violations: Violation[] = [];
  const story: string[] = [];
  const elapsedMs = () => Math.round(performance.now() - begunAt);
  const tell = (what: string) => {
    story.push(`${(elapsedMs() / 1000).toFixed(1)}s ${what}`);
    if (story.length > 200) story.shift();
  };
  const count = (what: string) => void counts.set(what, (counts.get(what) ?? 0) + 1);
  return {
    count,
    violate: (invariant, facts) => {
      count(`VIOLATED: ${invariant}`);
      if (violations.length >= 100) return;
      const violation = { invariant, facts, atMs: elapsedMs(), broken: [...broken.values()] };
      violations.push(violation);
      tell(`VIOLATED: ${invariant}`);
      onViolation(violation);
    },
    broke: (what) => {
      const key = Symbol(what);
      broken.set(key, what);
      count(`bad day: ${what}`);
      tell(what);
      return () => {
        if (broken.delete(key)) tell(`${what}: over`);
      };
    },
    counts,
    get broken() {
      return [...broken.values()];
    },
    violations,
    story,
    elapsedMs,
  };
}

/** A violation in a line, for people. */
export function describeViolation({ invariant, atMs, facts, broken }: Violation): string {
  const meanwhile = broken.join(', ') || 'all was well';
  return `VIOLATED at ${(atMs / 1000).toFixed(1)} s: ${invariant} ${JSON.stringify(facts)} while ${meanwhile}`;
}

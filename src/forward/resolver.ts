import { lookup as lookUp } from 'node:dns/promises';
import type { Millis } from '../config/units.ts';

/** All addresses of a name, as the system knows them: its files, search domains and servers. Rejects when it has none. */
export type Lookup = (name: string) => Promise<readonly string[]>;

/** The system's own, which also knows what is in its hosts file. */
export const systemLookup: Lookup = async (name) => {
  const found = await lookUp(name, { all: true, order: 'verbatim' });
  return found.map(({ address }) => address);
};

/**
 * All addresses that can be dialled: without the unspecified one, which would lead to this very host.
 *
 * @throws when there are none
 */
export async function addressesOf(name: string, lookup: Lookup): Promise<ReadonlySet<string>> {
  const answer = await lookup(name);
  const usable = new Set(answer.filter((address) => address !== '0.0.0.0' && address !== '::'));
  if (usable.size === 0) throw new Error('the answer has no address');
  return usable;
}

export interface ResolverNeeds {
  readonly name: string;
  readonly lookup: Lookup;
  readonly intervalMs: Millis;
  /** Addresses taken of one answer, 1 to 64. */
  readonly max: number;
  /** Told when the addresses change; never none. @param answered how many there were in the answer */
  readonly onAddresses: (addresses: readonly string[], answered: number) => void;
  /** Told when look-ups begin to fail, and when they are well again (undefined). */
  readonly onTrouble: (cause: unknown) => void;
}

/** A look-up that takes longer counts as failed; its answer is still taken when it comes. */
const PATIENCE_MS = 10_000;

/**
 * Looks a name up, now and again and again, one look-up at a time. While that fails the last good addresses stay. An
 * answer of nothing, or of nothing but the unspecified address, is a failure.
 *
 * @returns ends it
 */
export function startResolver(needs: ResolverNeeds): () => void {
  const resolver = new Resolver(needs);
  resolver.ask();
  return () => resolver.close();
}

class Resolver {
  readonly #needs: ResolverNeeds;
  #known: readonly string[] = [];
  #isFailing = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(needs: ResolverNeeds) {
    this.#needs = needs;
  }

  ask(): void {
    const { name, lookup, intervalMs } = this.#needs;
    const late = setTimeout(() => this.#failed(new Error(`no answer within ${PATIENCE_MS} ms`)), PATIENCE_MS);
    late.unref();
    this.#timer = late;
    const again = () => {
      clearTimeout(late);
      if (this.#isClosed) return;
      this.#timer = setTimeout(() => this.ask(), intervalMs);
      this.#timer.unref();
    };
    addressesOf(name, lookup)
      .then((addresses) => this.#answered(addresses))
      .catch((cause: unknown) => this.#failed(cause))
      .finally(again);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #answered(answer: ReadonlySet<string>): void {
    if (this.#isClosed) return;
    // Who is known comes first: a long answer in ever new order must not move everybody to other addresses each time.
    const kept = this.#known.filter((address) => answer.has(address));
    const addresses = [...new Set([...kept, ...answer])].slice(0, this.#needs.max);
    if (this.#isFailing) this.#needs.onTrouble(undefined);
    this.#isFailing = false;
    if (addresses.length === this.#known.length && kept.length === addresses.length) return;
    this.#known = addresses;
    this.#needs.onAddresses(addresses, answer.size);
  }

  #failed(cause: unknown): void {
    if (this.#isClosed || this.#isFailing) return;
    this.#isFailing = true;
    this.#needs.onTrouble(cause);
  }
}

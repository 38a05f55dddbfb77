import { isIP } from 'node:net';
import type { UpstreamState } from '../observe/metrics.ts';
import { Address, type AddressNeeds } from './address.ts';
import type { Place } from './dial.ts';
import { type Lookup, startResolver } from './resolver.ts';

/** Of one upstream; a name's answer may have any number. */
const MAX_ADDRESSES = 64;

type Needs = AddressNeeds & { readonly lookup: Lookup };

/** The addresses of one upstream: those that the settings name, and those that its names have at the moment. */
export class Addresses {
  readonly #needs: Needs;
  readonly #stops: readonly (() => void)[];
  /** Of each target, in the settings' order. */
  readonly #ofTargets: (readonly Address[])[];
  #all: readonly Address[] = [];
  /** They finish what they carry. */
  readonly #retired = new Set<Address>();
  #turn = 0;
  #isClosed = false;

  constructor(needs: Needs) {
    this.#needs = needs;
    const { targets } = needs.upstream;
    // Until a name is looked up it stands for itself, so that nobody waits: whoever connects looks it up, too.
    this.#ofTargets = targets.map(({ host, port }) => [this.#create({ target: host, host, port })]);
    this.#all = this.#ofTargets.flat();
    this.#stops = targets.flatMap(({ host }, at) => (isIP(host) === 0 ? [this.#follow(host, at)] : []));
  }

  /** Nothing may be opened any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** At least one. */
  get all(): readonly Address[] {
    return this.#all;
  }

  /**
   * The address with the fewest requests under way, in turn where several have as few. Those that are left alone only when
   * no other is there.
   *
   * @param avoid not this one, unless it is the only one
   */
  pick(avoid?: Address): Address {
    const all = this.#all;
    const [only] = all;
    if (only !== undefined && all.length === 1) return only;
    this.#turn = (this.#turn + 1) % all.length;
    return this.#fewest((address) => address !== avoid && !address.health.isLeftAlone) ?? this.#last(avoid);
  }

  /** Whether there is another one, be it left alone. */
  hasOther(than: Address): boolean {
    return this.#all.some((address) => address !== than);
  }

  state(): UpstreamState {
    const leftAlone = this.#all.filter(({ health }) => health.isLeftAlone).length;
    let inFlight = 0;
    for (const address of this.#all) inFlight += address.inFlight;
    for (const address of this.#retired) inFlight += address.inFlight;
    return { inUse: this.#all.length - leftAlone, leftAlone, inFlight };
  }

  /** Ends every connection at once. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    await Promise.all([...this.#all, ...this.#retired].map((address) => address.close()));
  }

  /** Nobody is well: refusing would help no one, so it is tried anyway. */
  #last(avoid: Address | undefined): Address {
    const found = this.#fewest((address) => address !== avoid) ?? this.#all[0];
    if (found === undefined) throw new TypeError('an upstream without addresses');
    return found;
  }

  #fewest(isMeant: (address: Address) => boolean): Address | undefined {
    let best: Address | undefined;
    const all = this.#all;
    for (let i = 0; i < all.length; i += 1) {
      const address = all[(this.#turn + i) % all.length];
      if (address === undefined || (best !== undefined && best.inFlight <= address.inFlight)) continue;
      if (isMeant(address)) best = address;
    }
    return best;
  }

  #create(place: Place): Address {
    return new Address(place, this.#needs);
  }

  /** Follows a name to wherever it points. @returns ends it */
  #follow(name: string, at: number): () => void {
    const { upstream, lookup, log } = this.#needs;
    const facts = { upstream: upstream.name, host: name };
    return startResolver({
      name,
      lookup,
      intervalMs: upstream.resolveIntervalMs,
      max: Math.max(1, Math.floor(MAX_ADDRESSES / upstream.targets.length)),
      onAddresses: (addresses, answered) => {
        log.info('upstream.resolved', { ...facts, addresses, answered });
        this.#replace(at, addresses);
      },
      onTrouble: (cause) => {
        if (cause === undefined) log.info('upstream.resolve_recovered', facts);
        else log.warn('upstream.resolve_failed', { ...facts, cause });
      },
    });
  }

  #replace(at: number, hosts: readonly string[]): void {
    const target = this.#needs.upstream.targets[at];
    const before = this.#ofTargets[at];
    if (target === undefined || before === undefined) return;
    const known = new Map(before.map((address) => [address.place.host, address]));
    this.#ofTargets[at] = hosts.map(
      (host) => known.get(host) ?? this.#create({ target: target.host, host, port: target.port }),
    );
    for (const address of before) if (!hosts.includes(address.place.host)) this.#retire(address);
    this.#all = this.#ofTargets.flat();
  }

  #retire(address: Address): void {
    this.#retired.add(address);
    const gone = () => this.#retired.delete(address);
    address.retire().then(gone, gone);
  }
}

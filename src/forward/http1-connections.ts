import type { Waiting } from '../server/waiting.ts';
import type { Address } from './address.ts';
import type { Addresses } from './addresses.ts';

/** A request that wants a connection. */
export interface Sender {
  /** Where it failed before: another address is taken when there is one. */
  readonly avoid: Address | undefined;
  /** Called once for each time it was handed in. The place is to be given back by `done`. */
  sendTo(address: Address): void;
  /** Called instead when the room closes. */
  giveUp(): void;
}

/** HTTP/1.1 connections to one upstream: so many in use at once, to all addresses together; whoever comes then waits. */
export class Http1Connections {
  readonly addresses: Addresses;
  readonly waiting: Waiting;
  /** To be given with every request: undici would take the caller's Host for the name to verify the upstream by. */
  readonly servername: string;
  readonly #max: number;
  #inUse = 0;
  #isAdmitting = false;
  /** In order of arrival; bounded by `waiting`, where each of them has a ticket. */
  readonly #queue = new Set<Sender>();

  constructor(needs: { addresses: Addresses; waiting: Waiting; servername: string; max: number }) {
    this.addresses = needs.addresses;
    this.waiting = needs.waiting;
    this.servername = needs.servername;
    this.#max = needs.max;
  }

  /** In use at the moment. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Sends it to the address with the fewest requests under way, now or when its turn comes. */
  send(sender: Sender): void {
    if (this.addresses.isClosed) sender.giveUp();
    else if (this.#inUse < this.#max) this.#admit(sender);
    else this.#queue.add(sender);
  }

  /** Forgets one that waits for its turn no longer. */
  withdraw(sender: Sender): void {
    this.#queue.delete(sender);
  }

  /** Gives the place of a request back. */
  done(address: Address): void {
    address.inFlight -= 1;
    this.leave();
  }

  /** A place for a connection that somebody opens on their own. @returns false when none is left */
  enter(): boolean {
    if (this.#inUse >= this.#max || this.addresses.isClosed) return false;
    this.#inUse += 1;
    return true;
  }

  /** Gives such a place back. */
  leave(): void {
    this.#inUse -= 1;
    // A request that fails at once comes by here again: the loop below goes on with the next, not one inside the other.
    if (this.#queue.size === 0 || this.#isAdmitting) return;
    this.#isAdmitting = true;
    try {
      for (const sender of this.#queue) {
        if (this.#inUse >= this.#max) break;
        this.#queue.delete(sender);
        this.#admit(sender);
      }
    } finally {
      // Whatever one of them throws, the next to leave goes on.
      this.#isAdmitting = false;
    }
  }

  close(): void {
    for (const sender of [...this.#queue]) sender.giveUp();
    this.#queue.clear();
  }

  #admit(sender: Sender): void {
    this.#inUse += 1;
    const address = this.addresses.pick(sender.avoid);
    address.inFlight += 1;
    sender.sendTo(address);
  }
}

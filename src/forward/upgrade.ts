import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Millis } from '../config/units.ts';
import type { Contain } from '../server/contain.ts';
import type { Exchange, Wire } from '../server/exchange.ts';
import { assertWritable } from '../server/writable-field.ts';
import type { Address } from './address.ts';
import type { Addresses } from './addresses.ts';
import { type Cut, type Over, overBefore } from './cut.ts';
import type { Dial } from './dial.ts';
import { writableReason } from './downstream.ts';
import type { Headers } from './headers.ts';
import type { Forwarded, ForwardPlan } from './plan.ts';
import { createTunnel, reset } from './tunnel.ts';
import type { Ending, UnderWay } from './under-way.ts';
import { passRefusal } from './upgrade-refused.ts';
import type { Measure } from './upstream.ts';
import { failed, saysNothingOfThem, UpstreamError, wasClosed, wasLate } from './upstream-failure.ts';

/** What a caller may send before the handshake is answered; more waits in the network. */
const EARLY_BYTES = 65_536;

type UpgradeWire = Extract<Wire, { kind: 'upgrade' }>;

interface Needs {
  readonly headers: Headers;
  readonly dial: Dial;
  readonly addresses: Addresses;
  readonly headersTimeoutMs: Millis;
  readonly measure: Measure;
  readonly contain: Contain;
  /** What connections to upstreams end for, if they do. */
  readonly whyLost: () => Cut;
  readonly underWay: UnderWay;
  /** Silence after which the connection ends once it is upgraded; 0: never. */
  readonly idleMs: Millis;
  /** How long a caller may take nothing of an answer. */
  readonly stallMs: Millis;
  /** Sockets that end when the room closes. */
  readonly open: Set<Duplex>;
}

/**
 * Passes a WebSocket handshake on (RFC 6455 §4) and, once both sides agreed, every byte. An upstream that answers with
 * something else than 101 is passed on like any answer. Ending either socket at any time ends the other.
 */
export function forwardUpgrade(
  passage: { exchange: Exchange; wire: UpgradeWire; plan: ForwardPlan },
  needs: Needs,
): Promise<Forwarded> {
  const { promise, resolve, reject } = Promise.withResolvers<Forwarded>();
  const handshake = new Handshake(passage, needs, resolve);
  const { life } = passage.plan;
  const held = life && needs.underWay.begin(handshake, life);
  try {
    handshake.begin();
  } catch (cause) {
    // A mistake of ours: places are given back when the promise settles, and thrown past it they would be lost.
    reject(cause);
  }
  return held ? promise.finally(() => held.leave(handshake)) : promise;
}

class Handshake implements Ending {
  readonly #exchange: Exchange;
  readonly #wire: UpgradeWire;
  readonly #plan: ForwardPlan;
  readonly #needs: Needs;
  readonly #resolve: (forwarded: Forwarded | Promise<Forwarded>) => void;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;
  #up: ClientRequest | undefined;
  #connection: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #address: Address | undefined;
  #isConnected = false;
  #isRetried = false;
  #isCut = false;
  #isOver = false;
  readonly #onData = (chunk: Buffer): void => this.#keep(chunk);
  readonly #onGone = (): void => this.#abandon();

  constructor(
    passage: { exchange: Exchange; wire: UpgradeWire; plan: ForwardPlan },
    needs: Needs,
    resolve: (forwarded: Forwarded | Promise<Forwarded>) => void,
  ) {
    this.#exchange = passage.exchange;
    this.#wire = passage.wire;
    this.#plan = passage.plan;
    this.#needs = needs;
    this.#resolve = resolve;
  }

  begin(): void {
    const { fields } = this.#needs.headers.request(this.#exchange, this.#plan, 'upgrade');
    this.#watchCaller();
    if (!this.#isOver) this.#send(fields);
  }

  end(why: Over): void {
    if (this.#settle()) {
      this.#up?.destroy();
      this.#resolve(overBefore(why));
      return;
    }
    // The tunnel passes a reset on to the caller; a caller whose answer came whole has a moment to take it.
    if (this.#connection) reset(this.#connection);
    if (this.#isCut) reset(this.#wire.socket);
    this.#isCut = true;
  }

  #send(fields: string[]): void {
    const { head } = this.#exchange;
    const { contain } = this.#needs;
    const up = httpRequest({
      method: head.method,
      path: head.target,
      headers: fields,
      setHost: false,
      // Asked for when all else is found good: a request that cannot be sent leaves no connection behind.
      createConnection: () => this.#connect(),
    });
    this.#up = up;
    const crashed = () => this.#crashed();
    up.on('error', (error) => {
      if (this.#isOver || up !== this.#up) return;
      clearTimeout(this.#timer);
      if (this.#mayRetry(error)) this.#send(fields);
      else this.#fail(error);
    });
    up.once(
      'response',
      contain((answer: IncomingMessage) => this.#refused(answer), crashed),
    );
    up.once(
      'upgrade',
      contain((answer: IncomingMessage, socket: Socket, first: Buffer) => this.#agreed(answer, socket, first), crashed),
    );
    this.#timer = setTimeout(() => {
      up.destroy(new UpstreamError('upstream_timeout', 'no answer to the handshake in time'));
    }, this.#needs.headersTimeoutMs);
    up.end();
  }

  #connect(): Socket {
    const { dial, open, addresses } = this.#needs;
    const address = addresses.pick(this.#address);
    const connection = dial.open(address.place, 'http/1.1');
    address.inFlight += 1;
    this.#address = address;
    this.#connection = connection;
    this.#isConnected = false;
    open.add(connection);
    // Told by the request; between a request and a tunnel nobody else listens, and it would end the process.
    connection.on('error', () => undefined);
    connection.once('close', () => {
      address.inFlight -= 1;
      open.delete(connection);
    });
    connection.once(dial.tls(address.place) === undefined ? 'connect' : 'secureConnect', () => {
      this.#isConnected = true;
    });
    return connection;
  }

  /** Once more, where no byte of an answer came: a handshake is a GET, and early bytes were not sent yet. */
  #mayRetry(error: Error): boolean {
    const { addresses } = this.#needs;
    const address = this.#address;
    const wasHeard = (this.#connection?.bytesRead ?? 0) > 0;
    if (address === undefined || wasHeard || addresses.isClosed || saysNothingOfThem(error)) return false;
    if (!this.#isConnected) address.health.unreachable(error);
    else if (wasClosed(error)) address.health.cut(error);
    else return false;
    if (this.#isRetried || (wasLate(error) && !addresses.hasOther(address))) return false;
    this.#isRetried = true;
    return true;
  }

  /** Reads what the caller sends meanwhile, for only who reads learns that a caller is gone. */
  #watchCaller(): void {
    const { socket, head } = this.#wire;
    if (socket.destroyed || socket.readableEnded) {
      // Lost while the caller's credential was looked at: no event tells of it again.
      this.#abandon();
      return;
    }
    if (head.length > 0) this.#keep(head);
    socket.on('data', this.#onData);
    for (const event of ['end', 'close', 'error']) socket.on(event, this.#onGone);
  }

  #unwatchCaller(): void {
    const { socket } = this.#wire;
    socket.off('data', this.#onData);
    for (const event of ['end', 'close', 'error']) socket.off(event, this.#onGone);
    socket.pause();
  }

  #keep(chunk: Buffer): void {
    this.#early.push(chunk);
    this.#earlyBytes += chunk.length;
    if (this.#earlyBytes > EARLY_BYTES) this.#wire.socket.pause();
  }

  #agreed(answer: IncomingMessage, upstream: Socket, first: Buffer): void {
    const { fields } = this.#needs.headers.answer(answer.rawHeaders, 'upgrade', this.#plan.setCookie);
    const head = head101(answer, fields);
    if (!this.#settle()) {
      upstream.destroy();
      return;
    }
    this.#needs.measure.answered();
    this.#address?.health.answered();
    const caller = this.#wire.socket;
    const early = Buffer.concat(this.#early);
    if (early.length > 0) upstream.write(early);
    caller.write(Buffer.concat([head, first]));
    createTunnel({ caller, upstream, idleMs: this.#needs.idleMs }, ({ bytes, complete }) => {
      this.#resolve({ kind: 'answered', status: 101, bytes: bytes + first.length, complete });
    });
  }

  /** Any answer but 101: an ordinary one, the last on this connection. */
  #refused(answer: IncomingMessage): void {
    const caller = this.#wire.socket;
    if (!(caller instanceof Socket)) {
      answer.destroy();
      this.#fail(new TypeError('only a socket can carry an answer'));
      return;
    }
    if (!this.#settle()) {
      answer.destroy();
      return;
    }
    this.#address?.health.answered();
    caller.resume(); // nobody looks at what still comes, but its end must be noticed
    const { request } = this.#wire;
    const { setCookie } = this.#plan;
    this.#resolve(passRefusal({ answer, request, caller, setCookie, reference: this.#exchange.id }, this.#needs));
  }

  /** A mistake of ours: it is this one exchange that ends, on both sides. */
  #crashed(): void {
    this.#connection?.destroy();
    if (this.#isOver) {
      this.#wire.socket.destroy();
      this.#resolve({ kind: 'abandoned' });
    } else this.#fail(new UpstreamError('upstream_broken', 'the answer could not be passed on'));
  }

  #fail(cause: Error): void {
    if (!this.#settle()) return;
    this.#needs.measure.failed();
    this.#resolve(failed(cause, this.#isConnected, this.#needs.whyLost()));
  }

  #abandon(): void {
    if (!this.#settle()) return;
    this.#up?.destroy();
    this.#wire.socket.destroy();
    this.#resolve({ kind: 'abandoned' });
  }

  /** Ends the handshake; false when it was over before. */
  #settle(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#unwatchCaller();
    return true;
  }
}

/** @throws {TypeError} for a field that cannot be written */
function head101(answer: IncomingMessage, fields: readonly string[]): Buffer {
  assertWritable(fields);
  let head = `HTTP/1.1 101 ${writableReason(answer.statusMessage) ?? ''}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}

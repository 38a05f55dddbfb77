import { type ClientRequest, request as httpRequest, type IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Millis } from '../config/units.ts';
import type { Exchange, Wire } from '../server/exchange.ts';
import type { Dial } from './dial.ts';
import { Http1Downstream } from './downstream-http1.ts';
import type { Headers } from './headers.ts';
import type { Forwarded, ForwardPlan } from './plan.ts';
import { createTunnel } from './tunnel.ts';
import type { Measure } from './upstream.ts';
import { UpstreamError, upstreamFailure } from './upstream-failure.ts';

/** What a caller may send before the handshake is answered; more waits in the network. */
const EARLY_BYTES = 65_536;

type UpgradeWire = Extract<Wire, { kind: 'upgrade' }>;

interface Needs {
  readonly headers: Headers;
  readonly dial: Dial;
  readonly headersTimeoutMs: Millis;
  readonly measure: Measure;
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
  return new Promise((resolve) => {
    new Handshake(passage, needs, resolve).begin();
  });
}

class Handshake {
  readonly #exchange: Exchange;
  readonly #wire: UpgradeWire;
  readonly #plan: ForwardPlan;
  readonly #needs: Needs;
  readonly #resolve: (forwarded: Forwarded) => void;
  readonly #early: Buffer[] = [];
  #earlyBytes = 0;
  #up: ClientRequest | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isConnected = false;
  #isOver = false;
  readonly #onData = (chunk: Buffer): void => this.#keep(chunk);
  readonly #onGone = (): void => this.#abandon();

  constructor(
    passage: { exchange: Exchange; wire: UpgradeWire; plan: ForwardPlan },
    needs: Needs,
    resolve: (forwarded: Forwarded) => void,
  ) {
    this.#exchange = passage.exchange;
    this.#wire = passage.wire;
    this.#plan = passage.plan;
    this.#needs = needs;
    this.#resolve = resolve;
  }

  begin(): void {
    const { head } = this.#exchange;
    const { fields } = this.#needs.headers.request(this.#exchange, this.#plan, 'upgrade');
    this.#watchCaller();
    const connection = this.#needs.dial.open('http/1.1');
    this.#needs.open.add(connection);
    connection.once('close', () => this.#needs.open.delete(connection));
    connection.once(this.#needs.dial.tls === undefined ? 'connect' : 'secureConnect', () => {
      this.#isConnected = true;
    });
    const up = httpRequest({
      method: head.method,
      path: head.target,
      headers: fields,
      setHost: false,
      createConnection: () => connection,
    });
    this.#up = up;
    up.on('error', (error) => this.#fail(error));
    up.once('response', (answer) => this.#refused(answer));
    up.once('upgrade', (answer, socket, first) => this.#agreed(answer, socket, first));
    this.#timer = setTimeout(() => {
      up.destroy(new UpstreamError('upstream_timeout', 'no answer to the handshake in time'));
    }, this.#needs.headersTimeoutMs);
    up.end();
  }

  /** Reads what the caller sends meanwhile, for only who reads learns that a caller is gone. */
  #watchCaller(): void {
    const { socket, head } = this.#wire;
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
    if (!this.#settle()) {
      upstream.destroy();
      return;
    }
    this.#needs.measure.answered();
    const caller = this.#wire.socket;
    const { fields } = this.#needs.headers.answer(answer.rawHeaders, 'upgrade', this.#plan.setCookie);
    const early = Buffer.concat(this.#early);
    if (early.length > 0) upstream.write(early);
    caller.write(Buffer.concat([head101(answer, fields), first]));
    createTunnel({ caller, upstream }, ({ bytes, complete }) => {
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
    this.#needs.measure.answered();
    const response = new ServerResponse(this.#wire.request);
    response.shouldKeepAlive = false;
    response.assignSocket(caller);
    response.once('finish', () => {
      response.detachSocket(caller);
      caller.end();
      // A server would say so; this response has none.
      response.emit('close');
    });
    caller.resume(); // nobody looks at what still comes, but its end must be noticed
    relay(answer, new Http1Downstream(this.#wire.request, response), {
      ...this.#needs,
      setCookie: this.#plan.setCookie,
    }).then(this.#resolve);
  }

  #fail(cause: Error): void {
    if (!this.#settle()) return;
    this.#needs.measure.failed();
    this.#resolve({ kind: 'failed', code: upstreamFailure(cause, this.#isConnected), cause });
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

function head101(answer: IncomingMessage, fields: readonly string[]): Buffer {
  let head = `HTTP/1.1 101 ${answer.statusMessage ?? ''}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}

function relay(
  answer: IncomingMessage,
  downstream: Http1Downstream,
  needs: { headers: Headers; setCookie: string | undefined },
): Promise<Forwarded> {
  return new Promise((resolve) => {
    const status = answer.statusCode ?? 502;
    downstream.onClose((complete) => {
      resolve({ kind: 'answered', status, bytes: downstream.bytes, complete });
      answer.destroy();
    });
    const head = needs.headers.answer(answer.rawHeaders, 'http1', needs.setCookie);
    downstream.start({
      status,
      ...(answer.statusMessage && { reason: answer.statusMessage }),
      ...head,
      endStream: false,
    });
    answer.on('data', (chunk: Buffer) => {
      if (downstream.write(chunk)) return;
      answer.pause();
      downstream.onDrain(() => answer.resume());
    });
    answer.on('end', () => downstream.end([]));
    answer.on('error', () => downstream.breakOff());
  });
}

import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Millis } from '../config/units.ts';
import type { Contain } from './contain.ts';
import { createSilenceWatch } from './http1-silence.ts';
import { isStalled } from './http1-stall.ts';
import { lingerAfterReply } from './linger.ts';

/** Requests of one connection that wait for their answer at once: nobody pipelines so many. */
const maxPipelined = 100;

/** Where a connection bears its requests: to look them up by the connection costs more, and is done three times for each. */
const LINE = Symbol('line');

type Lined = Socket & { [LINE]?: ServerResponse[] };

/** The requests of a server that still wait for their answer, or for their caller to take it. */
export interface Pending {
  /** Keeps track of a request that was not answered at once. */
  add(response: ServerResponse): void;
  /** Whether a request of this connection is still waiting for its answer. */
  has(socket: Socket): boolean;
  /** Lets each connection end with the last answer it has coming; idle ones stay. */
  retire(): void;
  /** The same, and closes idle connections. */
  drain(): void;
  readonly isRetiring: boolean;
  /** Looks after a connection of the server. */
  watch(socket: Socket): void;
  /** Leaves one that speaks another protocol now. */
  leave(socket: Socket): void;
  /** Gives up its timer. */
  close(): void;
}

/**
 * Closes connections that pipeline without measure, that lie idle, or whose request stands still.
 *
 * @param needs.idleMs     how long a connection may wait for its next request; at most a quarter longer
 * @param needs.bodyIdleMs how long nothing may move on a connection while its caller is the one to move; likewise
 */
export function createPending(
  server: Server,
  needs: { contain: Contain; idleMs: Millis; bodyIdleMs: Millis },
): Pending {
  // One for a connection, kept until it closes: one for a request would be made and thrown away with each.
  const lines = new Set<ServerResponse[]>();
  let isRetiring = false;
  let isDraining = false;
  const closeIdle = needs.contain(
    () => server.closeIdleConnections(),
    () => undefined,
  );
  const lineOf = (socket: Lined) => {
    const known = socket[LINE];
    if (known) return known;
    const line: ServerResponse[] = [];
    socket[LINE] = line;
    lines.add(line);
    socket.once('close', () => lines.delete(line));
    return line;
  };
  function leave(this: ServerResponse) {
    const { [LINE]: line }: Lined = this.req.socket;
    if (line?.length === 1) line.pop();
    else line?.splice(line.indexOf(this), 1);
    if (isDraining) setImmediate(closeIdle);
  }
  const retire = () => {
    isRetiring = true;
    for (const line of lines) {
      // Only the last one may end the connection: those before it would take the rest of the line with them.
      const last = line.at(-1);
      if (!last || last.headersSent) continue;
      last.shouldKeepAlive = false;
      // What its caller sends behind it would be done without an answer.
      lingerAfterReply(last.req.socket);
    }
  };
  const onTimeout = (socket: Lined) => {
    const [first] = socket[LINE] ?? [];
    const patience = patienceOf(socket);
    // Otherwise the limit that is over is from a time when the connection was idle and is not any more, or the other way round.
    const isDue = socket.timeout === patience;
    if (isDue && (first === undefined || isStalled(first))) socket.destroy();
    // Once more, though nothing moves: what was held back may be taken meanwhile, and its caller send no more.
    else socket.setTimeout(patience);
  };
  const patienceOf = (socket: Lined) => (socket[LINE]?.length ? needs.bodyIdleMs : needs.idleMs);
  const silence = createSilenceWatch(patienceOf, Math.min(needs.idleMs, needs.bodyIdleMs) / 8);
  server.on(
    'timeout',
    needs.contain(onTimeout, (socket) => void socket.destroy()),
  );
  return {
    watch: silence.watch,
    leave: silence.leave,
    add: (response) => {
      const { socket } = response.req;
      if (socket.destroyed) return;
      const line = lineOf(socket);
      if (line.push(response) > maxPipelined) socket.destroy();
      response.on('close', leave);
    },
    has: (socket: Lined) => (socket[LINE]?.length ?? 0) > 0,
    retire,
    drain: () => {
      retire();
      isDraining = true;
      server.closeIdleConnections();
    },
    get isRetiring() {
      return isRetiring;
    },
    close: silence.close,
  };
}

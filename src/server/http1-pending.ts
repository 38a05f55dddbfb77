import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Contain } from './contain.ts';
import { closeWhenStalled } from './http1-stall.ts';

/** Requests of one connection that wait for their answer at once: nobody pipelines so many. */
const maxPipelined = 100;

/** The requests of a server that still wait for their answer. */
export interface Pending {
  /** Keeps track of a request that was not answered at once. */
  add(request: IncomingMessage, response: ServerResponse): void;
  /** Whether a request of this connection is still waiting for its answer. */
  has(socket: Socket): boolean;
  /** Lets each connection end with the last answer it has coming; idle ones stay. */
  retire(): void;
  /** The same, and closes idle connections. */
  drain(): void;
  readonly isRetiring: boolean;
}

/** Closes connections that pipeline without measure, or whose request stands still. */
export function createPending(server: Server, contain: Contain): Pending {
  const bySocket = new Map<Socket, Set<ServerResponse>>();
  let isRetiring = false;
  let isDraining = false;
  const retire = () => {
    isRetiring = true;
    for (const responses of bySocket.values()) {
      // Only the last one may end the connection: those before it would take the rest of the line with them.
      const last = [...responses].at(-1);
      if (last && !last.headersSent) last.shouldKeepAlive = false;
    }
  };
  return {
    add: (request, response) => {
      const { socket } = request;
      const responses = bySocket.get(socket) ?? new Set();
      bySocket.set(socket, responses.add(response));
      if (responses.size > maxPipelined) socket.destroy();
      const drop = () => void socket.destroy();
      response.on(
        'timeout',
        contain(() => closeWhenStalled(request, response), drop),
      );
      response.once('close', () => {
        responses.delete(response);
        if (responses.size === 0) bySocket.delete(socket);
        if (isDraining) setImmediate(contain(() => server.closeIdleConnections(), drop));
      });
    },
    has: (socket) => bySocket.has(socket),
    retire,
    drain: () => {
      retire();
      isDraining = true;
      server.closeIdleConnections();
    },
    get isRetiring() {
      return isRetiring;
    },
  };
}

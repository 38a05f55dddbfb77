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
  drain(): void;
  readonly isDraining: boolean;
}

/** Closes connections that pipeline without measure, or whose request stands still. */
export function createPending(server: Server, contain: Contain): Pending {
  const bySocket = new Map<Socket, Set<ServerResponse>>();
  let isDraining = false;
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
    drain: () => {
      isDraining = true;
      for (const responses of bySocket.values()) {
        // Only the last one may end the connection: those before it would take the rest of the line with them.
        const last = [...responses].at(-1);
        if (last && !last.headersSent) last.shouldKeepAlive = false;
      }
      server.closeIdleConnections();
    },
    get isDraining() {
      return isDraining;
    },
  };
}

import type { Socket } from 'node:net';
import { networkOf } from './network.ts';

/** Connections by the IP address of their peer, IPv6 by its /64: as many entries as have one open. */
export interface PerAddress {
  /** Counts a connection until it closes. @returns false when its address has too many already */
  add(socket: Socket): boolean;
}

export function createPerAddress(max: number): PerAddress {
  const counts = new Map<string, number>();
  return {
    add: (socket) => {
      const address = networkOf(socket.remoteAddress ?? '');
      const count = (counts.get(address) ?? 0) + 1;
      counts.set(address, count);
      socket.once('close', () => {
        const left = (counts.get(address) ?? 1) - 1;
        if (left === 0) counts.delete(address);
        else counts.set(address, left);
      });
      return count <= max;
    },
  };
}

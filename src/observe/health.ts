import { connect } from 'node:net';
import type { Millis } from '../config/units.ts';

/** Whether traffic should come here; `missing` says what does not work, without taking the gateway out of service. */
export interface Readiness {
  readonly ready: boolean;
  readonly state: 'starting' | 'serving' | 'draining';
  /** E.g. `provider https://idp.example.com`, `upstream control-plane`. */
  readonly missing: readonly string[];
}

/**
 * Whether something accepts TCP connections at one of several places.
 *
 * @param timeoutMs how long to wait, 1 to 10,000
 */
export async function canConnectToAny(
  addresses: readonly { readonly host: string; readonly port: number }[],
  timeoutMs: Millis,
): Promise<boolean> {
  const reached = addresses.map(async (address) => {
    if (!(await canConnect(address, timeoutMs))) throw new Error(`nobody at ${address.host}`);
  });
  return Promise.any(reached).then(
    () => true,
    () => false,
  );
}

/**
 * Whether something accepts TCP connections there.
 *
 * @param timeoutMs how long to wait, 1 to 10,000
 */
export function canConnect(address: { host: string; port: number }, timeoutMs: Millis): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port, timeout: timeoutMs });
    const settle = (reached: boolean) => {
      socket.destroy();
      resolve(reached);
    };
    socket.once('connect', () => settle(true));
    socket.once('timeout', () => settle(false));
    socket.once('error', () => settle(false));
  });
}

import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type SecureContext } from 'node:tls';
import type { Upstream } from '../config/config.ts';
import type { Millis } from '../config/units.ts';
import { addressesOf, type Lookup } from './resolver.ts';
import { UpstreamError } from './upstream-failure.ts';

/**
 * A peer that vanished without a word is found 10 s later: libuv asks ten times, a second apart (looked up with strace).
 * HTTP/2 needs more, for the system of a frozen peer still answers.
 */
const KEEP_ALIVE_MS = 30_000;

/** Where connections go: an address, for one of the hosts that the settings name. */
export interface Place {
  /** The host as the settings name it: what a certificate must vouch for. */
  readonly target: string;
  /** An IP address of it, or the target itself while nobody knows one. */
  readonly host: string;
  readonly port: number;
}

/** How connections to one upstream are made. */
export interface Dial {
  /** Options for TLS to a place; undefined for a cleartext upstream. */
  tls(place: Place): Pick<ConnectionOptions, 'secureContext' | 'servername'> | undefined;
  /**
   * Opens a connection. Its failure, a connection that takes too long, and a peer that does not speak the protocol are
   * errors of the socket.
   *
   * @param protocol what to speak over TLS (ALPN)
   */
  open(place: Place, protocol: Protocol): Socket;
  /** Calls back once, with whether a connection could be opened; it is closed at once. @returns gives up */
  probe(place: Place, protocol: Protocol, done: (cause: Error | undefined) => void): () => void;
}

export type Protocol = 'http/1.1' | 'h2';

/**
 * @param identity what TLS is spoken with; undefined for a cleartext upstream
 * @param lookup   how a host is found that is no address
 * @param buffer   bytes that a connection keeps of what nobody takes, in each direction; Node's own measure unless said
 */
export function createDial(
  upstream: Upstream,
  identity: SecureContext | undefined,
  lookup: Lookup,
  buffer?: number,
): Dial {
  const find = asNodeTakesIt(lookup);
  // Of each place the last one: to resume it costs both sides far less than to begin anew.
  const sessions = { 'http/1.1': new WeakMap<Place, Buffer>(), h2: new WeakMap<Place, Buffer>() };
  const tls: Dial['tls'] = ({ target }) => {
    if (identity === undefined) return undefined;
    // The name is the upstream's own: the caller's Host must not choose which certificate convinces us.
    const servername = upstream.serverName ?? (isIP(target) === 0 ? target : undefined);
    return { secureContext: identity, ...(servername !== undefined && { servername }) };
  };
  const open: Dial['open'] = (place, protocol) => {
    const { host, port } = place;
    const where = {
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      highWaterMark: buffer,
      ...(isIP(host) === 0 && { lookup: find }),
    };
    const options = tls(place);
    if (options === undefined) return withDeadline(connectTcp(where), 'connect', upstream.connectTimeoutMs);
    const session = sessions[protocol].get(place);
    const socket = connectTls({ ...where, ...options, ...(session && { session }), ALPNProtocols: [protocol] });
    socket.on('session', (fresh) => sessions[protocol].set(place, fresh));
    socket.once('secureConnect', () => {
      // A server without ALPN speaks HTTP/1.1, whatever it was offered.
      if ((socket.alpnProtocol || 'http/1.1') === protocol) return;
      socket.destroy(new UpstreamError('upstream_unreachable', `the upstream does not speak ${protocol} over TLS`));
    });
    return withDeadline(socket, 'secureConnect', upstream.connectTimeoutMs);
  };
  return {
    tls,
    open,
    probe: (place, protocol, done) => {
      const socket = open(place, protocol);
      // Asking must not keep a process alive.
      socket.unref();
      let cause: Error | undefined = new Error('closed before it was ready');
      socket.on('error', (error) => {
        cause = error;
      });
      socket.once(identity === undefined ? 'connect' : 'secureConnect', () => {
        if (socket.destroyed) return;
        cause = undefined;
        socket.destroy();
      });
      const told = () => done(cause);
      socket.once('close', told);
      return () => {
        socket.off('close', told);
        socket.destroy();
      };
    },
  };
}

function asNodeTakesIt(lookup: Lookup): LookupFunction {
  return (name, { all }, done) => {
    addressesOf(name, lookup).then(
      (found) => {
        const addresses = [...found].map((address) => ({ address, family: isIP(address) }));
        const [first] = addresses;
        if (all || first === undefined) done(null, addresses);
        else done(null, first.address, first.family);
      },
      (cause: NodeJS.ErrnoException) => done(cause, []),
    );
  };
}

function withDeadline<S extends Socket>(socket: S, ready: 'connect' | 'secureConnect', afterMs: Millis): S {
  let isReady = false;
  const giveUp = () => {
    if (isReady) return;
    socket.destroy(new UpstreamError('upstream_unreachable', `no connection within ${afterMs} ms`, { isLate: true }));
  };
  // A connection that stood while this process was busy is heard of first: no address is to blame for that.
  const timer = setTimeout(() => setImmediate(giveUp), afterMs);
  socket.once(ready, () => {
    isReady = true;
    clearTimeout(timer);
  });
  socket.once('close', () => clearTimeout(timer));
  return socket;
}

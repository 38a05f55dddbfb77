import { readFileSync } from 'node:fs';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, getCACertificates } from 'node:tls';
import type { Upstream } from '../config/config.ts';
import { Failure } from '../failure.ts';
import { UpstreamError } from './upstream-failure.ts';

const KEEP_ALIVE_MS = 30_000;

export interface TlsOptions {
  /** Absent when the upstream is an IP address. */
  readonly servername?: string;
  readonly ca?: string[];
}

/** How connections to one upstream are made. */
export interface Dial {
  /** Options for TLS; undefined for a cleartext upstream. */
  readonly tls: TlsOptions | undefined;
  /**
   * Opens a connection. Its failure, a connection that takes too long, and a peer that does not speak the protocol are
   * errors of the socket.
   *
   * @param protocol what to speak over TLS (ALPN)
   */
  open(protocol: 'http/1.1' | 'h2'): Socket;
}

/** @throws {Failure} `config_invalid` when the CA file cannot be read */
export function createDial(upstream: Upstream): Dial {
  const host = bareHost(upstream.host);
  const tls = tlsOptions(upstream, host);
  return {
    tls,
    open: (protocol) => {
      const where = { host, port: upstream.port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
      if (tls === undefined) return withDeadline(connectTcp(where), 'connect', upstream.connectTimeoutMs);
      const socket = connectTls({ ...where, ...tls, ALPNProtocols: [protocol] });
      socket.once('secureConnect', () => {
        // A server without ALPN speaks HTTP/1.1, whatever it was offered.
        if ((socket.alpnProtocol || 'http/1.1') === protocol) return;
        socket.destroy(new UpstreamError('upstream_unreachable', `the upstream does not speak ${protocol} over TLS`));
      });
      return withDeadline(socket, 'secureConnect', upstream.connectTimeoutMs);
    },
  };
}

/** An IPv6 address without its brackets. */
export function bareHost(host: string): string {
  return host.startsWith('[') ? host.slice(1, -1) : host;
}

function tlsOptions(upstream: Upstream, host: string): TlsOptions | undefined {
  if (upstream.protocol === 'http' || upstream.protocol === 'h2c') return undefined;
  return {
    // The name is the upstream's own: the caller's Host must not choose which certificate convinces us.
    ...(isIP(host) === 0 && { servername: host }),
    ...(upstream.caFile !== undefined && { ca: [...getCACertificates('default'), readPem(upstream, upstream.caFile)] }),
  };
}

function readPem(upstream: Upstream, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Failure('config_invalid', `upstreams.${upstream.name}.caFile: ${file} cannot be read`, { cause });
  }
}

function withDeadline<S extends Socket>(socket: S, ready: 'connect' | 'secureConnect', afterMs: number): S {
  const timer = setTimeout(() => {
    socket.destroy(new UpstreamError('upstream_unreachable', `no connection within ${afterMs} ms`));
  }, afterMs);
  socket.once(ready, () => clearTimeout(timer));
  socket.once('close', () => clearTimeout(timer));
  return socket;
}

import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, Server as TlsServer } from 'node:tls';
import type { Address, Config } from '../config/config.ts';
import type { Log } from '../observe/log.ts';
import { createContain } from './contain.ts';
import { readFirstBytes } from './first-bytes.ts';
import { createPerAddress } from './per-address.ts';
import { streamBuffer } from './stream-buffer.ts';

/** PEM. */
export interface Certificate {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
}

export interface PortNeeds {
  readonly listen: Address;
  readonly tls?: Certificate;
  readonly limits: Config['server']['limits'];
  readonly log: Log;
  /** Take a connection over; its first bytes are still unread. */
  readonly onHttp1: (socket: Socket) => void;
  readonly onHttp2: (socket: Socket) => void;
}

export interface SharedPort {
  /** @returns the real address, also when port 0 was asked for */
  open(): Promise<Address>;
  /**
   * Connections that are opened from now on are shown this one; nothing else changes for them.
   * @throws {Error} when the port speaks no TLS, or OpenSSL cannot use it; the old one stays then
   */
  show(certificate: Certificate): void;
  /** Takes no more connections; those that are open stay. */
  shut(): void;
  /** Connections that are open, TCP level. */
  readonly sockets: ReadonlySet<Socket>;
  /** Calls back once, as soon as no connection is open. */
  whenEmpty(callback: () => void): void;
}

/** One port for HTTP/1.1 and HTTP/2: told apart by the first bytes, under TLS by ALPN. */
export function createSharedPort(needs: PortNeeds): SharedPort {
  const sockets = new Set<Socket>();
  const emptied: Array<() => void> = [];
  const server = needs.tls ? createTlsPort(needs, needs.tls) : createPlainPort(needs);
  server.maxConnections = needs.limits.connections;
  // Among several processes the one too many would else go from one full one to the next without end.
  // (Node's types do not know it yet.)
  Object.assign(server, { dropMaxConnection: true });
  const perAddress = createPerAddress(needs.limits.connectionsPerAddress);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    if (!perAddress.add(socket)) {
      needs.log.debug('connection.dropped', { address: socket.remoteAddress });
      socket.destroy();
    }
    // A caller that resets its connection is no news, but an unheard error would end the process.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) for (const callback of emptied.splice(0)) callback();
    });
  });
  server.on('drop', () => needs.log.debug('connection.dropped', { connections: sockets.size }));
  return {
    open: () => open(server, needs),
    show: (certificate) => {
      if (!(server instanceof TlsServer)) throw new TypeError('a port without TLS shows no certificate');
      server.setSecureContext(contextOf(certificate));
    },
    shut: () => {
      if (server.listening) server.close();
    },
    sockets,
    whenEmpty: (callback) => {
      if (sockets.size === 0) callback();
      else emptied.push(callback);
    },
  };
}

function open(server: Server, needs: PortNeeds): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: needs.listen.host, port: needs.listen.port, backlog: 1024 }, () => {
      server.off('error', reject);
      // Accepting can fail later, when the process runs out of file descriptors: the port stays open for the next one.
      server.on('error', (cause) => needs.log.error('listener.failed', { cause }));
      const address = server.address();
      if (address === null || typeof address === 'string')
        reject(new TypeError('listening on something without a port'));
      else resolve({ host: address.address, port: address.port });
    });
  });
}

// Half-open connections are HTTP/1.1's own business; a small write must not wait for the acknowledgement of the last;
// probes find callers that vanished without a word.
function transportOf({ tcpKeepAliveMs }: PortNeeds['limits']) {
  return { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: tcpKeepAliveMs } as const;
}

function createPlainPort(needs: PortNeeds): Server {
  const take = createTake(needs);
  // Of HTTP/1.1 and what it is upgraded to. Node lets nobody say the same for TLS: there it stays at 64 KiB.
  const options = { ...transportOf(needs.limits), highWaterMark: streamBuffer(needs.limits.streamWindow) };
  return createServer(options, (socket) => {
    readFirstBytes(socket, needs.limits, (isHttp2) => take(socket, isHttp2));
  });
}

function contextOf({ cert, key }: Certificate) {
  return {
    cert: typeof cert === 'string' ? cert : Buffer.from(cert),
    key: typeof key === 'string' ? key : Buffer.from(key),
    minVersion: 'TLSv1.2',
  } as const;
}

function createTlsPort(needs: PortNeeds, certificate: Certificate): Server {
  const options = {
    ...transportOf(needs.limits),
    ...contextOf(certificate),
    handshakeTimeout: needs.limits.headersMs,
    ALPNProtocols: ['h2', 'http/1.1'],
  } as const;
  const take = createTake(needs);
  const server = createTlsServer(options, (socket: TLSSocket) => {
    socket.on('error', () => undefined); // as above: the caller's own doing
    readFirstBytes(socket, needs.limits, () => take(socket, socket.alpnProtocol === 'h2'));
  });
  server.on('tlsClientError', (cause, socket) => {
    needs.log.debug('tls.refused', { cause });
    socket.destroy();
  });
  return server;
}

/** Hands a connection over to its protocol; one that the protocol cannot take is closed. */
function createTake(needs: PortNeeds): (socket: Socket, isHttp2: boolean) => void {
  const take = (socket: Socket, isHttp2: boolean) => {
    if (isHttp2) {
      needs.onHttp2(socket);
      return;
    }
    needs.onHttp1(socket);
    // Paused since the first bytes were read; what was put back comes before anything new.
    socket.resume();
  };
  return createContain(needs.log)(take, (socket) => void socket.destroy());
}

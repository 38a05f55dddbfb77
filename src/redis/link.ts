import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createClient, RESP_TYPES } from '@redis/client';
import type { RedisAddress, RedisSettings } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import type { Millis } from '../config/units.ts';

/** One command and its arguments, as they go over the wire. */
export type Command = readonly (string | Buffer)[];

/** One connection, as long as it lasts; it is never mended. */
export interface Link {
  /**
   * @param isBinary whether strings in the answer come as bytes
   * @returns the answer in RESP2's types. Rejects with the library's error: `ErrorReply` for what Redis itself says
   */
  send(command: Command, isBinary: boolean): Promise<unknown>;
  /** Resolves when it has ended, by whichever side. */
  readonly closed: Promise<void>;
  /** Ends it at once; what waits for an answer is rejected. */
  close(): void;
}

export interface LinkSettings {
  readonly address: RedisAddress;
  readonly tls: RedisSettings['tls'];
  readonly username?: string;
  readonly password?: Secret;
  readonly database?: number;
  /** For all of it: connecting, TLS, saying who we are, and a first answer. */
  readonly timeoutMs: Millis;
}

/**
 * Connects, once. Certificates are read anew each time, so that new ones count from the next connection on.
 *
 * @returns a connection that has answered. Rejects with whatever stood in the way
 */
export async function openLink(settings: LinkSettings): Promise<Link> {
  const { username, password, database, timeoutMs } = settings;
  const client = createClient({
    // No extensions are asked for: Redis from 6.2 on, Valkey, and users with few rights understand all of it.
    RESP: 2,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    disableOfflineQueue: true,
    // Deadlines are the keeper's: the library's own leave what was sent already waiting for ever.
    commandOptions: { timeout: 0 },
    socket: { ...(await socketOf(settings)), connectTimeout: timeoutMs, reconnectStrategy: false },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password: password.reveal() }),
    ...(database !== undefined && { database }),
  });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  client.on('end', resolve);
  client.on('terminated', resolve);
  // What goes wrong is told to whoever waits for an answer; without a listener it would end the process.
  client.on('error', () => resolve());
  const close = () => {
    client.destroy();
    resolve();
  };
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  await within(
    timeoutMs,
    client.connect().then(() => client.sendCommand(['PING'])),
  ).catch((cause: unknown) => {
    close();
    throw cause;
  });
  return { send: (command, isBinary) => (isBinary ? binary : client).sendCommand(command), closed, close };
}

async function socketOf({ address, tls }: LinkSettings) {
  const { host, port, isTls } = address;
  if (!isTls) return { host, port };
  const { caFile, clientCertificate, serverName } = tls;
  return {
    host,
    port,
    tls: true as const,
    // An address is no server name (RFC 6066 §3): it is compared with the certificate all the same.
    ...((serverName !== undefined || isIP(host) === 0) && { servername: serverName ?? host }),
    ...(caFile !== undefined && { ca: await readFile(caFile) }),
    ...(clientCertificate && {
      cert: await readFile(clientCertificate.certFile),
      key: await readFile(clientCertificate.keyFile),
    }),
  };
}

async function within<T>(timeoutMs: Millis, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer in ${timeoutMs} ms`)), timeoutMs);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

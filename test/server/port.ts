import { after } from 'node:test';
import type { Address, Config } from '../../src/config/config.ts';
import type { Facts, Log } from '../../src/observe/log.ts';
import type { Exchange, Handler } from '../../src/server/exchange.ts';
import { createListener, type Listener, type ListenerNeeds } from '../../src/server/listen.ts';

/** Limits that no test reaches unless it means to. */
export const roomyLimits: Config['server']['limits'] = {
  headerCount: 200,
  headerBytes: 32_768,
  firstByteMs: 10_000,
  headersMs: 10_000,
  idleMs: 65_000,
  bodyIdleMs: 10_000,
  connections: 1000,
  connectionsPerAddress: 1000,
  streamsPerConnection: 100,
  resetsPerSecond: 33,
  resetBurst: 1000,
  streamWindow: 262_144,
  connectionWindow: 1_048_576,
  pingIntervalMs: 30_000,
  pingTimeoutMs: 15_000,
  tcpKeepAliveMs: 30_000,
  upgradeIdleMs: 0,
};

export interface OpenPort extends Address {
  readonly listener: Listener;
  /** What the handler saw, in order. */
  readonly seen: readonly Exchange[];
  /** What was logged. */
  readonly events: ReadonlyArray<{ readonly event: string; readonly facts: Facts }>;
}

/**
 * Opens a real port on 127.0.0.1, closed when the suite ends.
 *
 * @param needs.handler what answers; without one, 200 and the request's target
 */
export async function openPort(
  needs: { handler?: Handler; limits?: Partial<Config['server']['limits']> } & Pick<
    Partial<ListenerNeeds>,
    'tls' | 'onRefused'
  > = {},
): Promise<OpenPort> {
  const seen: Exchange[] = [];
  const events: Array<{ event: string; facts: Facts }> = [];
  const note = (event: string, facts: Facts = {}) => void events.push({ event, facts });
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const { handler = answerTarget, limits, ...rest } = needs;
  const listener = createListener({
    listen: { host: '127.0.0.1', port: 0 },
    limits: { ...roomyLimits, ...limits },
    handler: (exchange) => {
      seen.push(exchange);
      return handler(exchange);
    },
    log,
    ...rest,
  });
  const address = await listener.start();
  after(() => listener.stop(0));
  return { ...address, listener, seen, events };
}

/** Answers with the request's own method and target. */
export const answerTarget: Handler = (exchange) => {
  exchange.send({
    status: 200,
    fields: ['Content-Type', 'text/plain'],
    body: `${exchange.head.method} ${exchange.head.target}`,
  });
};

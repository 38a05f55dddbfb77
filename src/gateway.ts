import { setTimeout as sleep } from 'node:timers/promises';
import { createAdminApi } from './admin-api.ts';
import type { Address, Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { createGeneration, type Generation } from './generation.ts';
import { createGenerations, type Generations } from './generations.ts';
import { createLasting, type Lasting } from './lasting.ts';
import { type AdminApi, type AdminServer, createAdminServer } from './observe/admin.ts';
import { checkDescriptors, type ReadLimits, readProcessLimits } from './observe/descriptors.ts';
import { canConnectToAny, type Readiness } from './observe/health.ts';
import { createLog, type LogOutput } from './observe/log.ts';
import { createMetrics, type OwnMetrics } from './observe/metrics.ts';
import { issuerStates } from './oidc/issuer-states.ts';
import { createOperatorSessions } from './operator-sessions.ts';
import { readCertificate } from './server/certificate.ts';
import { createListener, type Listener } from './server/listen.ts';
import { createTakeOver, digestOf, type TakeOver } from './take-over.ts';

/** The whole gateway: what `flytegate serve` runs. */
export interface Gateway {
  /** Opens both ports. @returns where they are, with the ports that the system chose for 0 */
  start(): Promise<{ readonly url: string; readonly admin: string }>;
  /**
   * Loads new settings and takes them over as a whole while everything goes on, or stays with the old ones and says why
   * (`config.refused`). One at a time, and not once it stops. Never throws.
   */
  reload: TakeOver['reload'];
  /** The first half of that, for several gateways that take over together or not at all. */
  prepare: TakeOver['prepare'];
  /**
   * Readiness off; for `server.drainDelay` everything is still taken; then no new connections.
   * What streams runs on until `server.drain` is over; then everything ends.
   */
  stop(): Promise<void>;
}

/** Makes the operator's port. */
export type CreateAdmin = (needs: {
  listen: Address;
  readiness: () => Promise<Readiness>;
  metrics: OwnMetrics;
  api: AdminApi;
}) => AdminServer;

/**
 * Builds every room from the settings; nothing is opened yet.
 *
 * @param needs.now    the wall clock, for tests that move it
 * @param needs.readLimits the limits of this process, for tests
 * @param needs.output where log lines go, instead of standard output
 * @param needs.createAdmin makes the operator's port, where that is another process's
 * @throws {Failure} `config_invalid` when a certificate, key or CA file cannot be used
 */
export async function createGateway(
  config: Config,
  needs: { now?: Clock; output?: LogOutput; readLimits?: ReadLimits; createAdmin?: CreateAdmin } = {},
): Promise<Gateway> {
  const output = needs.output ?? createLog({ level: config.log.level });
  const { log } = output;
  const metrics = createMetrics();
  const lasting = createLasting(config, { log, metrics, now: needs.now ?? Date.now });
  const { tls: files, listen, limits, admin: adminAt } = config.server;
  const tls = files && (await readCertificate(files));
  const generations = createGenerations(createGeneration(config, lasting), lasting);
  const onRefused = () => metrics.request('refused');
  const { handler } = generations;
  const listener = createListener({ listen, limits, handler, log, onRefused, ...(tls && { tls }) });
  metrics.watchIssuers(() => issuerStates(generations.current.issuers));
  let state: Readiness['state'] = 'starting';
  const { createAdmin = createAdminServer } = needs;
  const admin = createAdmin({
    listen: adminAt,
    readiness: () => readinessOf(state, generations.current, lasting.shared.missing()),
    metrics,
    api: createApi(lasting, generations),
  });
  return {
    start: async () => {
      const at = await admin.start();
      await lasting.shared.start();
      const { host, port } = await listener.start().catch(async (cause: unknown) => {
        lasting.shared.close();
        await admin.stop();
        throw cause;
      });
      state = 'serving';
      const urls = { url: urlOf(tls ? 'https' : 'http', host, port), admin: urlOf('http', at.host, at.port) };
      const { publicUrl } = config.server;
      const settings = digestOf(config);
      log.info('gateway.started', { ...urls, publicUrl, upstreams: Object.keys(config.upstreams), settings });
      metrics.settings(settings, lasting.now());
      const { readLimits = readProcessLimits } = needs;
      await checkDescriptors({ connections: limits.connections, log, readLimits });
      generations.current.warmUp();
      return urls;
    },
    ...createTakeOver({ lasting, generations, listener, output, metrics }),
    stop: async () => {
      state = 'draining';
      const { drainMs, drainDelayMs } = generations.current.config.server;
      log.info('gateway.draining', { drainMs, drainDelayMs });
      listener.retire();
      // Who comes meanwhile was sent by somebody who has not seen readiness go off.
      if (drainDelayMs > 0) await sleep(drainDelayMs);
      await endStreams(listener, generations.cut, drainMs - drainDelayMs);
      await generations.close();
      lasting.shared.close();
      await admin.stop();
      metrics.stop();
      log.info('gateway.stopped');
      output.flush();
    },
  };
}

/** What operators may do, where there is a token for it. */
function createApi(lasting: Lasting, generations: Generations): AdminApi {
  const limits = generations.current.config.session;
  return createAdminApi({
    ...lasting,
    sessions: createOperatorSessions({ ...lasting, limits }),
    settings: () => {
      const { config, parts } = generations.current;
      return { token: config.adminToken, issuer: parts.proving.provider.issuer };
    },
  });
}

/** How long streams that were told to end may take to say so to their callers. */
const LAST_WORDS_MS = 1000;

/**
 * Lets what has begun run on until the deadline; then breaks it off from the upstream's side, so that each stream ends in
 * its protocol's own words instead of a bare reset, and at last closes every connection.
 */
async function endStreams(listener: Listener, cut: () => Promise<void>, drainMs: number): Promise<void> {
  let cutting: Promise<void> | undefined;
  const close = () => {
    cutting ??= cut();
    return cutting;
  };
  const deadline = setTimeout(() => {
    // Safe: the same promise is awaited below, and throws there.
    close().catch(() => undefined);
  }, drainMs);
  await listener.stop(drainMs + LAST_WORDS_MS);
  clearTimeout(deadline);
  await close();
}

async function readinessOf(
  state: Readiness['state'],
  { config, issuers }: Generation,
  elsewhere: readonly string[],
): Promise<Readiness> {
  const states = issuerStates(issuers);
  const upstreams = await Promise.all(
    Object.values(config.upstreams).map(async (upstream) =>
      (await canConnectToAny(upstream.targets, 1000)) ? [] : [`upstream ${upstream.name}`],
    ),
  );
  const providers = (await states).flatMap(({ issuer, isUp, areKeysUp }) => [
    ...(isUp ? [] : [`provider ${issuer}`]),
    ...(areKeysUp ? [] : [`keys of ${issuer}`]),
  ]);
  const missing = [...providers, ...elsewhere, ...upstreams.flat()];
  return { ready: state === 'serving', state, missing };
}

function urlOf(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from './config/config.ts';
import type { Clock } from './config/units.ts';
import { createGeneration, type Generation } from './generation.ts';
import { createLasting } from './lasting.ts';
import { createAdminServer } from './observe/admin.ts';
import { checkDescriptors, type ReadLimits, readProcessLimits } from './observe/descriptors.ts';
import { canConnectToAny, type Readiness } from './observe/health.ts';
import { createLog, type LogOutput } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { createListener, type Listener } from './server/listen.ts';

/** The whole gateway: what `flytegate serve` runs. */
export interface Gateway {
  /** Opens both ports. @returns where they are, with the ports that the system chose for 0 */
  start(): Promise<{ readonly url: string; readonly admin: string }>;
  /**
   * Readiness off; for `server.drainDelay` everything is still taken; then no new connections.
   * What streams runs on until `server.drain` is over; then everything ends.
   */
  stop(): Promise<void>;
}

/**
 * Builds every room from the settings; nothing is opened yet.
 *
 * @param needs.now    the wall clock, for tests that move it
 * @param needs.readLimits the limits of this process, for tests
 * @param needs.output where log lines go, instead of standard output
 * @throws {Failure} `config_invalid` when a certificate or CA file cannot be read
 */
export async function createGateway(
  config: Config,
  needs: { now?: Clock; output?: LogOutput; readLimits?: ReadLimits } = {},
): Promise<Gateway> {
  const output = needs.output ?? createLog({ level: config.log.level });
  const { log } = output;
  const metrics = createMetrics();
  const lasting = createLasting(config, { log, metrics, now: needs.now ?? Date.now });
  const generation = createGeneration(config, lasting);
  lasting.follow(generation.newest);
  const { tls: files, listen, limits, admin: adminAt, drainMs, drainDelayMs } = config.server;
  const tls = files && { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  const onRefused = () => metrics.request('refused');
  const { handler } = generation;
  const listener = createListener({ listen, limits, handler, log, onRefused, ...(tls && { tls }) });
  let state: Readiness['state'] = 'starting';
  const admin = createAdminServer({ listen: adminAt, readiness: () => readinessOf(state, generation), metrics });
  return {
    start: async () => {
      const at = await admin.start();
      const { host, port } = await listener.start().catch(async (cause: unknown) => {
        await admin.stop();
        throw cause;
      });
      state = 'serving';
      const urls = { url: urlOf(tls ? 'https' : 'http', host, port), admin: urlOf('http', at.host, at.port) };
      const { publicUrl } = config.server;
      log.info('gateway.started', { ...urls, publicUrl, upstreams: Object.keys(config.upstreams) });
      const { readLimits = readProcessLimits } = needs;
      await checkDescriptors({ connections: limits.connections, log, readLimits });
      generation.warmUp();
      return urls;
    },
    stop: async () => {
      state = 'draining';
      log.info('gateway.draining', { drainMs, drainDelayMs });
      listener.retire();
      // Who comes meanwhile was sent by somebody who has not seen readiness go off.
      if (drainDelayMs > 0) await sleep(drainDelayMs);
      await endStreams(listener, generation.cut, drainMs - drainDelayMs);
      await Promise.all([generation.close(), admin.stop()]);
      metrics.stop();
      log.info('gateway.stopped');
      output.flush();
    },
  };
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

async function readinessOf(state: Readiness['state'], { config, issuers }: Generation): Promise<Readiness> {
  const upstreams = await Promise.all(
    Object.values(config.upstreams).map(async (upstream) =>
      (await canConnectToAny(upstream.targets, 1000)) ? [] : [`upstream ${upstream.name}`],
    ),
  );
  const providers = [...issuers].flatMap(({ issuer, ready }) => [
    ...(ready.metadata ? [] : [`provider ${issuer}`]),
    ...(ready.keys ? [] : [`keys of ${issuer}`]),
  ]);
  const missing = [...providers, ...upstreams.flat()];
  return { ready: state === 'serving', state, missing };
}

function urlOf(scheme: 'http' | 'https', host: string, port: number): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

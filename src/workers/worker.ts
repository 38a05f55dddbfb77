import cluster from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import { type CreateAdmin, createGateway, type Gateway } from '../gateway.ts';
import { type AdminReply, NOBODY_ANSWERS } from '../observe/admin.ts';
import { createLog } from '../observe/log.ts';
import type { ReloadOutcome } from '../observe/metrics.ts';
import type { Prepared } from '../take-over.ts';
import {
  type FromWorker,
  isMessage,
  type RelayedRequest,
  type ToWorker,
  type Trouble,
  type WorkerState,
} from './messages.ts';
import { decodeConfig } from './wire-config.ts';

/**
 * One of several processes behind one port: a gateway without an operator's port, which lives by what the primary process
 * says. Resolves when it listens.
 */
export async function runWorker(): Promise<{ stop(): Promise<void> }> {
  const started = Promise.withResolvers<void>();
  const life = createLife(started);
  process.on('message', (message: unknown) => {
    if (isMessage<ToWorker>(message)) life.hear(message);
  });
  void say({ kind: 'waiting' });
  try {
    await started.promise;
  } catch (cause) {
    await say({ kind: 'failed', trouble: troubleOf(cause) });
    throw cause;
  }
  return { stop: life.stop };
}

interface Life {
  hear(message: ToWorker): void;
  /** Once, however often it is told. */
  stop(): Promise<void>;
}

function createLife(started: PromiseWithResolvers<void>): Life {
  const admin = createNoAdmin();
  let gateway: Gateway | undefined;
  let prepared: Prepared | undefined;
  let stopping: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other: what is prepared is made beside what is in force then. */
  const inTurn = (step: () => Promise<void>): Promise<void> => {
    const done = last.then(step);
    // Safe: whoever asked for the step hears of its failure.
    last = done.catch(() => undefined);
    return done;
  };
  const stop = () => {
    stopping ??= end(gateway, admin);
    return stopping;
  };
  const takeOver = async (config: Config, id: number) => {
    if (gateway) {
      const outcome = await gateway.reload(loadedFrom(config));
      return say({ kind: 'taken', outcome, id });
    }
    const made = await start(config, admin.create);
    gateway = made.gateway;
    return say({ kind: 'listening', url: made.url });
  };
  const drop = () => {
    if (prepared?.kind === 'ready') prepared.drop();
    prepared = undefined;
  };
  const prepare = async (config: Config, id: number) => {
    drop();
    prepared = await gateway?.prepare(loadedFrom(config));
    return say({ kind: 'prepared', reasons: prepared?.kind === 'refused' ? prepared.reasons : [], id });
  };
  const commit = async (id: number) => {
    const outcome = commitTo(prepared);
    prepared = undefined;
    return say({ kind: 'taken', outcome, id });
  };
  return {
    stop,
    hear: (message) => {
      switch (message.kind) {
        case 'stop':
          void stop().then(() => process.exit(0));
          return;
        case 'state':
          void admin.state().then((state) => say({ kind: 'state', state, id: message.id }));
          return;
        case 'api':
          void admin.api(message.request).then((reply) => say({ kind: 'api', reply, id: message.id }));
          return;
        case 'settings':
          inTurn(() => takeOver(decodeConfig(message.settings), message.id)).then(started.resolve, started.reject);
          return;
        case 'prepare':
          void inTurn(() => prepare(decodeConfig(message.settings), message.id));
          return;
        case 'commit':
          void inTurn(() => commit(message.id));
          return;
        case 'drop':
          void inTurn(async () => drop());
      }
    },
  };
}

/** @returns `refused` when nothing was prepared, or it could not be gone over to after all */
function commitTo(prepared: Prepared | undefined): ReloadOutcome {
  if (prepared?.kind !== 'ready') return prepared?.kind ?? 'refused';
  try {
    prepared.commit();
    return 'reloaded';
  } catch {
    // Safe: this worker stands behind the others now, and is replaced for saying so.
    return 'refused';
  }
}

async function start(config: Config, createAdmin: CreateAdmin): Promise<{ gateway: Gateway; url: string }> {
  const output = createLog({ level: config.log.level, worker: cluster.worker?.id ?? 0 });
  const gateway = await createGateway(config, { output, createAdmin });
  const { url } = await gateway.start();
  return { gateway, url };
}

/** What the primary process has read and found good. */
function loadedFrom(config: Config): () => Promise<Loaded> {
  return async () => ({ kind: 'config', config, effective: {}, secretPlaces: [], files: new Map() });
}

/** Resolves when the message is out, or the primary process gone, and this one with it. */
function say(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.send) process.send(message, undefined, undefined, () => resolve());
    else resolve();
  });
}

async function end(gateway: Gateway | undefined, admin: NoAdmin): Promise<void> {
  if (!gateway) return;
  await gateway.stop();
  const { figures } = await admin.state();
  await say({ kind: 'last', figures });
}

interface NoAdmin {
  readonly create: CreateAdmin;
  /** What would be on its pages. */
  state(): Promise<WorkerState>;
  /** What its API would answer. Never throws. */
  api(request: RelayedRequest): Promise<AdminReply>;
}

/** Takes the place of the operator's port: what would be on its pages is told to the primary process instead. */
function createNoAdmin(): NoAdmin {
  let pages: Parameters<CreateAdmin>[0] | undefined;
  return {
    create: (needs) => {
      pages = needs;
      return { start: async () => needs.listen, stop: async () => undefined };
    },
    api: async (request) => {
      const query = new URLSearchParams(request.query);
      try {
        return (await pages?.api({ ...request, query })) ?? NOBODY_ANSWERS;
      } catch {
        // Safe: nothing was done that was not said; the primary process has no other way to hear of it.
        return NOBODY_ANSWERS;
      }
    },
    state: async () => ({
      readiness: (await pages?.readiness()) ?? { ready: false, state: 'starting', missing: [] },
      figures: (await pages?.metrics.figures()) ?? [],
    }),
  };
}

function troubleOf(cause: unknown): Trouble {
  if (!(cause instanceof Error)) return { message: String(cause) };
  const { code, address, port }: NodeJS.ErrnoException & { address?: unknown; port?: unknown } = cause;
  return {
    message: cause.message,
    ...(typeof code === 'string' && { code }),
    ...(typeof address === 'string' && { address }),
    ...(typeof port === 'number' && { port }),
  };
}

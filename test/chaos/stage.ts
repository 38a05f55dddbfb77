import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { makeKeyPair } from '../../src/config/keygen.ts';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { makeSettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { freePort } from '../fakes/free-port.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { type RedisServer, startRedis } from '../fakes/redis-server.ts';
import { type Relay, startRelay } from '../fakes/relay.ts';
import { type AwakeClock, createAwakeClock } from './awake.ts';
import type { Ledger } from './ledger.ts';
import { type Member, startMember } from './member.ts';
import { createTroubles, type Troubles } from './troubles.ts';

/** Where sessions are, and what is done when nobody can say who was signed out. */
export interface Deployment {
  readonly store: 'cookie' | 'redis';
  readonly revocations: 'best-effort' | 'required';
}

/** Real gateways, a real Redis, a provider and a service that misbehave when told to. */
export interface Stage {
  readonly deployment: Deployment;
  readonly ledger: Ledger;
  /** By which everything here is judged. */
  readonly clock: AwakeClock;
  readonly redis: RedisServer;
  readonly provider: FakeProvider;
  readonly upstream: Relay;
  readonly troubles: Troubles;
  /** Host and port of the public URL. */
  readonly host: string;
  /** Those that are there now. */
  readonly members: Member[];
  /** Starts one more in the place of a name. Undefined, and a violation, when it does not come up. */
  add(name: string): Promise<Member | undefined>;
  remove(member: Member, how: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Adds cookie keys as several processes have to: known everywhere first, then used. */
  rotateCookieKeys(): Promise<void>;
  /** Milliseconds that the provider's clock is ahead. */
  setProviderClock(aheadMs: number): void;
  /** Where the gateways' log files are. */
  readonly folder: string;
  stop(): Promise<void>;
}

export const ADMIN_TOKEN = 'o'.repeat(40);
/** Access tokens of sessions live so long: short, so that many are renewed on a bad day. */
const ACCESS_TOKEN_S = 10;
/** For one answer of the provider. Longer than it is slow, but for those times when it is too slow. */
const PROVIDER_TIMEOUT = '3s';
/** Streams that are open when a gateway is told to go have so long. */
const DRAIN_MS = 3000;
const NAMES: readonly string[] = ['a', 'b', 'c'];
/** Nobody listens there: each gateway takes the port that it is given, and everybody is told which. */
const PUBLIC_URL = 'http://localhost:8080';

/** @param needs.pace how much shorter all that lasts is: 1 is the real thing */
export async function startStage(needs: {
  deployment: Deployment;
  gateways: 2 | 3;
  ledger: Ledger;
  pace: number;
}): Promise<Stage> {
  const { deployment, ledger } = needs;
  const redis = await startRedis();
  const plane = createControlPlane({ port: 0, tickMs: 200 });
  const upstream = await startRelay(await plane.start());
  const clock = createAwakeClock();
  const troubles = createTroubles(deployment, clock.now);
  let aheadMs = 0;
  const provider = await startProvider({
    // It comes back where it was.
    port: await freePort(),
    now: () => Date.now() + aheadMs,
    audience: PUBLIC_URL,
    subjectByIdp: true,
    onRefresh: (subject, what) => {
      if (what === 'again' && !troubles.mayBeSpentAgain(subject))
        ledger.violate('a refresh token is spent once', { subject });
      ledger.count(`refresh token ${what}`);
      troubles.noteRefresh(subject, what);
    },
  });
  provider.behaviour.accessTokenTtlS = ACCESS_TOKEN_S;
  const text = await settingsText(
    { issuer: provider.issuer, upstream: upstream.url, redis: redis.url, drainMs: DRAIN_MS / needs.pace },
    deployment,
  );
  const files = { ...secretFiles, 'secrets/admin_token': `${ADMIN_TOKEN}\n` };
  const settings = await makeSettingsFolder(text, files);
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-chaos-'));
  const members: Member[] = [];
  const ofName = new Map<string, number>();
  const add = async (name: string) => {
    const turn = (ofName.get(name) ?? 0) + 1;
    ofName.set(name, turn);
    const member = await startMember({
      ...{ name: `${name}${turn}`, settings: settings.file, ledger },
      logFile: join(folder, `${deployment.store}-${deployment.revocations}-${name}.log`),
    }).catch((cause: Error) => ledger.violate('a gateway starts, whatever is down', { name, cause: cause.message }));
    if (member) members.push(member);
    return member ?? undefined;
  };
  const remove = async (member: Member, how: 'SIGKILL' | 'SIGTERM') => {
    members.splice(members.indexOf(member), 1);
    if (how === 'SIGKILL') troubles.noteKill();
    await member.end(how);
    troubles.noteEnd();
  };
  await Promise.all(NAMES.slice(0, needs.gateways).map(add));
  return {
    ...{ deployment, ledger, clock, redis, provider, upstream, troubles, members, add, remove, folder },
    host: new URL(PUBLIC_URL).host,
    rotateCookieKeys: () => rotateCookieKeys(settings.folder, members),
    setProviderClock: (ms) => {
      aheadMs = ms;
    },
    stop: async () => {
      await Promise.all([...members].map((member) => remove(member, 'SIGTERM')));
      await Promise.all([provider.stop(), upstream.stop(), plane.stop(), redis.stop()]);
      clock.stop();
      await settings.remove();
      if (ledger.violations.length === 0) await rm(folder, { recursive: true });
    },
  };
}

async function settingsText(
  at: { issuer: string; upstream: string; redis: string; drainMs: number },
  { store, revocations }: Deployment,
): Promise<string> {
  const template = await readFile(new URL('../../config/demo.yaml', import.meta.url), 'utf8');
  const document = parseDocument(template);
  const settings = {
    'server.publicUrl': PUBLIC_URL,
    'server.listen': '127.0.0.1:0',
    'server.admin': '127.0.0.1:0',
    'server.drain': `${at.drainMs}ms`,
    // What changes in files is taken over when the schedule says so.
    'server.reloadInterval': '10m',
    'log.level': 'info',
    secretsDir: 'secrets',
    'session.store': store,
    coordination: 'redis',
    revocations,
    redis: { url: at.redis, commandTimeout: '1s' },
    // Short, so that most requests are proved.
    'decisionCache.maxAge': '2s',
    'auth.timeout': PROVIDER_TIMEOUT,
    'auth.authorizedUris': [PUBLIC_URL],
    'auth.userAuth.openId.baseUrl': at.issuer,
    'auth.userAuth.openId.clientId': 'web',
    'upstreams.control-plane.url': at.upstream,
  };
  for (const [path, value] of Object.entries(settings)) document.setIn(path.split('.'), document.createNode(value));
  return document.toString();
}

/** At most so many lines in a key file: the settings take twenty. */
const MAX_KEYS = 15;

async function rotateCookieKeys(folder: string, members: readonly Member[]): Promise<void> {
  const pair = makeKeyPair();
  const files = ['cookie_hash_key', 'cookie_block_key'] as const;
  const change = async (to: (lines: readonly string[], key: string) => readonly string[]) => {
    for (const name of files) {
      const path = join(folder, 'secrets', name);
      const lines = (await readFile(path, 'utf8')).trim().split('\n');
      await writeFile(path, `${to(lines, pair[name]).join('\n')}\n`);
    }
    for (const member of members) member.hangUp();
  };
  const known = await readFile(join(folder, 'secrets', files[0]), 'utf8');
  if (known.trim().split('\n').length >= MAX_KEYS) return;
  const before = await members[0]?.digest();
  await change((lines, key) => [...lines, key]);
  const until = Date.now() + 10_000;
  for (;;) {
    const digests = await Promise.all(members.map((member) => member.digest().catch(() => undefined)));
    if (digests.every((digest) => digest !== undefined && digest !== before && digest === digests[0])) break;
    // Nothing is used that is not known everywhere: the key stays at the end.
    if (Date.now() > until) return;
  }
  await change((lines, key) => [key, ...lines.filter((line) => line !== key)]);
}

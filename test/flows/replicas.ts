import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { type RedisServer, startRedis } from '../fakes/redis-server.ts';
import { type Answer, ask, type Question } from './ask.ts';
import { type Child, startChild } from './child.ts';
import { endLater, type FakeRig, type RigOptions, startFakeRig } from './rig.ts';

/** A gateway as a process of its own, beside the rig's. */
export interface Replica extends Child {
  /** Its settings. */
  readonly file: string;
  /** One request, under the public host. */
  ask(path: string, question?: Question): Promise<Answer>;
}

/** A gateway in this process, with a Redis; replicas are processes of their own from the same files. */
export interface ReplicatedRig extends FakeRig {
  readonly redis: RedisServer;
  /** @param settings that are otherwise there */
  addReplica(settings?: RigOptions['settings']): Promise<Replica>;
}

/** @param options.settings beside those of Redis */
export async function startReplicatedRig(options: RigOptions = {}): Promise<ReplicatedRig> {
  const redis = await startRedis();
  endLater(redis.stop);
  const settings = { 'redis.url': redis.url, 'redis.commandTimeout': '1s', ...options.settings };
  const rig = await startFakeRig({ ...options, settings });
  const host = new URL(rig.url).host;
  return {
    ...rig,
    redis,
    addReplica: async (changes = {}) => {
      const file = await settingsOf(rig, changes);
      const child = await startChild(file);
      return {
        ...child,
        file,
        ask: (path, question = {}) => ask(child.url + path, { ...question, fields: { host, ...question.fields } }),
      };
    },
  };
}

let made = 0;

/** The rig's settings with ports of the system's choice. */
async function settingsOf(rig: FakeRig, changes: NonNullable<RigOptions['settings']>): Promise<string> {
  const document = parseDocument(await readFile(rig.settings.file, 'utf8'));
  const settings = { 'server.listen': '127.0.0.1:0', ...changes };
  for (const [path, value] of Object.entries(settings)) document.setIn(path.split('.'), document.createNode(value));
  made += 1;
  const file = join(rig.settings.folder, `replica-${made}.yaml`);
  await writeFile(file, document.toString());
  return file;
}

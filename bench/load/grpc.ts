import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage } from '../stage.ts';

/** Calls with one message that are made over and over. */
export interface GrpcLoad {
  readonly url: string;
  /** Besides those that every gRPC call has. */
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  /** Calls under way on each connection. */
  readonly streams: number;
  /** Of all messages in one answer, with their five bytes of prefix. */
  readonly answerBytes: number;
}

export const grpcHeaders = { 'content-type': 'application/grpc', te: 'trailers' } as const;

/** One message of 32 bytes. */
export const grpcMessage = Buffer.concat([Buffer.from([0, 0, 0, 0, 32]), Buffer.alloc(32, 'x')]);

/** How many messages a call brings that streams. */
export const streamedMessages = 100;

/** Each of them: 256 bytes. */
export const streamedMessage = Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), Buffer.alloc(256, 'x')]);

/**
 * As many calls as the server answers, for so long.
 *
 * @returns answers in a second
 * @throws {Error} when a call failed, or was answered with fewer bytes of messages
 */
export async function loadGrpc(stage: Stage, load: GrpcLoad, seconds: number): Promise<number> {
  const { h2load } = stage.tools;
  return h2load === undefined ? loadByNode(stage, load, seconds) : loadByH2load(stage, h2load, { load, seconds });
}

async function loadByH2load(
  stage: Stage,
  command: string,
  { load, seconds }: { load: GrpcLoad; seconds: number },
): Promise<number> {
  const message = join(stage.folder, 'message');
  await writeFile(message, grpcMessage);
  const headers = Object.entries({ ...grpcHeaders, ...load.headers }).flatMap(([name, value]) => [
    '-H',
    `${name}: ${value}`,
  ]);
  const size = [`-c${load.connections}`, `-m${load.streams}`, `-D${seconds}`, '-t1', '-d', message];
  const words = await stage.run({ command, args: [...size, ...headers, load.url] });
  const find = (pattern: RegExp) => Number(pattern.exec(words)?.[1]);
  const perSecond = find(/finished in .*, ([\d.]+) req\/s/);
  const isClean = /, 0 3xx, 0 4xx, 0 5xx$/m.test(words) && find(/(\d+) failed/) === 0;
  // h2load knows nothing of trailers; but a call that is refused brings no message.
  const hasMessages = find(/\((\d+)\) data/) >= find(/(\d+) succeeded/) * load.answerBytes;
  if (!(perSecond > 0) || !isClean || !hasMessages) throw new Error(`${load.url}: ${words}`);
  return perSecond;
}

async function loadByNode(stage: Stage, load: GrpcLoad, seconds: number): Promise<number> {
  const file = join(import.meta.dirname, 'grpc-client.ts');
  const args = [file, JSON.stringify({ ...load, seconds })];
  return Number(await stage.run({ command: process.execPath, args }));
}

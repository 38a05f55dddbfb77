import { join } from 'node:path';
import type { Stage } from '../stage.ts';

/** Requests that are sent over and over. */
export interface HttpLoad {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
}

/**
 * As many GETs as the server answers, for so long.
 *
 * @returns answers in a second
 * @throws {Error} when an answer was not 2xx or a connection failed: such a figure says nothing
 */
export async function loadHttp(stage: Stage, load: HttpLoad, seconds: number): Promise<number> {
  const { wrk } = stage.tools;
  return wrk === undefined ? loadByUndici(stage, load, seconds) : loadByWrk(stage, wrk, { load, seconds });
}

async function loadByWrk(
  stage: Stage,
  command: string,
  { load, seconds }: { load: HttpLoad; seconds: number },
): Promise<number> {
  const headers = Object.entries(load.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const args = ['-t1', `-c${load.connections}`, `-d${seconds}s`, ...headers, load.url];
  const words = await stage.run({ command, args });
  const fault = /Non-2xx or 3xx responses: .*|Socket errors: .*/.exec(words)?.[0];
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(words)?.[1]);
  if (fault !== undefined || !(perSecond > 0)) throw new Error(`${load.url}: ${fault ?? words}`);
  return perSecond;
}

async function loadByUndici(stage: Stage, load: HttpLoad, seconds: number): Promise<number> {
  const file = join(import.meta.dirname, 'http-client.ts');
  const args = [file, JSON.stringify({ ...load, seconds })];
  return Number(await stage.run({ command: process.execPath, args }));
}

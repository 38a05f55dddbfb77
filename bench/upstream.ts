import { join } from 'node:path';
import { startNginx } from './nginx.ts';
import type { Stage } from './stage.ts';

/** Starts what answers every GET with 1 KB, on the client's side: nginx where there is one, for it takes least. */
export async function startHttpUpstream(stage: Stage): Promise<string> {
  const { nginx: path } = stage.tools;
  if (path === undefined) return startNode(stage, 'upstream/http.ts');
  const body = 'x'.repeat(1024);
  const server = `location / { default_type application/octet-stream; return 200 '${body}'; }`;
  const { port } = await startNginx(stage, 'client', { path, server });
  return `http://127.0.0.1:${port}`;
}

/** Starts what answers every gRPC call with one small message. */
export function startGrpcUpstream(stage: Stage): Promise<string> {
  return startNode(stage, 'upstream/grpc.ts');
}

/** One of the bare contestants. */
export interface RunningBare {
  readonly pid: number;
  readonly port: number;
  /** Where its debugger listens, if it was told to with `--inspect`. */
  readonly debugger: string | undefined;
  stop(): Promise<void>;
}

/** Starts one of the bare contestants. */
export async function startBare(
  stage: Stage,
  script: string,
  upstream: string,
  nodeOptions: readonly string[] = [],
): Promise<RunningBare> {
  const args = [...nodeOptions, join(import.meta.dirname, script), upstream];
  const saysWhere = /(?:Debugger listening on (ws:\S+)[\s\S]*)?listens on (\d+)\n/;
  const { pid, ready, stop } = await stage.start('server', { command: process.execPath, args }, saysWhere);
  return { pid, port: Number(ready[2]), debugger: ready[1], stop };
}

/** Starts a service of ours on the client's side. @returns its origin */
export async function startNode(stage: Stage, script: string): Promise<string> {
  const program = { command: process.execPath, args: [join(import.meta.dirname, script)] };
  const { ready } = await stage.start('client', program, /listens on (\d+)\n/);
  return `http://127.0.0.1:${ready[1]}`;
}

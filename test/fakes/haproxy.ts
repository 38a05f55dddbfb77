import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnBound } from './bound-child.ts';
import { untilListening } from './nginx.ts';

/** One of the servers that requests are shared out among, on 127.0.0.1. */
export interface Balanced {
  readonly port: number;
  /** Where `/readyz` is. */
  readonly admin: number;
}

/**
 * Runs HAProxy in front of several gateways: each gets requests only while its `/readyz` says 200, asked every 100 ms.
 * Nothing is tried twice: a request that fails at one of them has failed.
 *
 * @param options.port     HTTP/1.1, passed on as HTTP/1.1
 * @param options.grpcPort cleartext HTTP/2, passed on as such
 * @returns ends it
 */
export async function startHaproxy(options: {
  readonly path: string;
  readonly port: number;
  readonly grpcPort: number;
  readonly servers: readonly Balanced[];
}): Promise<() => Promise<void>> {
  const { path, port, grpcPort, servers } = options;
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, settings(port, grpcPort, servers));
  const child = spawnBound(path, ['-db', '-f', file]);
  child.stdout.resume();
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  await untilListening(child, port, () => complaint);
  return async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    await rm(folder, { recursive: true, force: true });
  };
}

function settings(port: number, grpcPort: number, servers: readonly Balanced[]): string {
  const each = (line: (server: Balanced, name: string) => string) =>
    servers.map((server, n) => `  server ${line(server, `gateway${n}`)}`).join('\n');
  return `global
  maxconn 1000
  hard-stop-after 1s
defaults
  mode http
  timeout connect 2s
  timeout client 1m
  timeout server 1m
  timeout check 5s
  balance roundrobin
  retries 0
frontend web
  bind 127.0.0.1:${port}
  default_backend web_gateways
frontend rpc
  bind 127.0.0.1:${grpcPort} proto h2
  default_backend rpc_gateways
backend web_gateways
  option httpchk GET /readyz
${each(({ port: at, admin }, name) => `${name} 127.0.0.1:${at} check port ${admin} inter 100ms fall 1 rise 1`)}
backend rpc_gateways
${each(({ port: at }, name) => `${name} 127.0.0.1:${at} proto h2 track web_gateways/${name}`)}
`;
}

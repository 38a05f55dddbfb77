import { callGrpc } from './ask.ts';
import { type Site, startGateway } from './gateway.ts';
import { type GrpcLoad, grpcHeaders, grpcMessage, loadGrpc } from './load/grpc.ts';
import { startNginx } from './nginx.ts';
import { type Contestant, race, type Turns } from './race.ts';
import type { Stage } from './stage.ts';
import { startBare } from './upstream.ts';

/** What all contestants of a race in gRPC do. */
export interface GrpcWork extends Pick<GrpcLoad, 'connections' | 'streams' | 'answerBytes'> {
  /** Origin of the service. */
  readonly upstream: string;
  /** The gateway's name in the table. */
  readonly name: string;
  /** In one answer; they are what is counted. */
  readonly messages: number;
}

export const barestPipe = 'barest node:http2 pipe';
export const nginxPass = 'nginx, grpc_pass';

/**
 * Calls with a bearer token, forwarded by the gateway with and without its request log, by the barest pipe from node:http2
 * to node:http2, and, where there is one, by nginx.
 */
export async function raceGrpc(stage: Stage, site: Site, work: GrpcWork): Promise<Turns> {
  const { upstream, name } = work;
  const [quiet, logging, bare] = await Promise.all([
    startGateway(stage, site, { upstream, log: { level: 'info', requests: false } }),
    startGateway(stage, site, { upstream, log: { level: 'info', requests: true } }),
    startBare(stage, 'bare/grpc.ts', upstream),
  ]);
  const headers = { 'flyte-authorization': `Bearer ${await site.provider.token()}` };
  const servers = [
    { name: barestPipe, ...bare },
    { name, ...quiet },
    { name: `${name}, request log on`, ...logging },
    ...(await nginx(stage, upstream)),
  ];
  const contestants: Contestant[] = [];
  for (const server of servers) contestants.push(await contestant(stage, work, { server, headers }));
  return race(contestants, stage.options);
}

interface Server {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
}

/** @throws {Error} when a first call is not answered as it should be */
async function contestant(
  stage: Stage,
  { connections, streams, answerBytes, messages }: GrpcWork,
  { server, headers }: { server: Server; headers: GrpcLoad['headers'] },
): Promise<Contestant> {
  const { name, pid, port } = server;
  const url = `http://127.0.0.1:${port}/bench.Service/Call`;
  const { status, bytes } = await callGrpc(new URL(url), { ...grpcHeaders, ...headers }, grpcMessage);
  if (status !== '0' || bytes !== answerBytes) throw new Error(`${name}: grpc-status ${status}, ${bytes} bytes`);
  const load: GrpcLoad = { url, headers, connections, streams, answerBytes };
  return { name, pids: [pid], load: async (seconds) => messages * (await loadGrpc(stage, load, seconds)) };
}

async function nginx(stage: Stage, upstream: string): Promise<Server[]> {
  const { nginx: path } = stage.tools;
  if (path === undefined) return [];
  const { pid, port } = await startNginx(stage, 'server', {
    path,
    isHttp2: true,
    http: `upstream up { server ${new URL(upstream).host}; keepalive 128; keepalive_requests 1000000000; }`,
    server: 'location / { grpc_pass grpc://up; }',
  });
  return [{ name: nginxPass, pid, port }];
}

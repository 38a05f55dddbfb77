import { callGrpc } from '../ask.ts';
import { type Site, startGateway } from '../gateway.ts';
import { grpcHeaders, grpcMessage, loadGrpc } from '../load/grpc.ts';
import { startNginx } from '../nginx.ts';
import { type Contestant, race } from '../race.ts';
import { type Result, resultOf } from '../result.ts';
import type { Stage } from '../stage.ts';
import { startBare, startGrpcUpstream } from '../upstream.ts';

const connections = 8;
const streams = 16;

/** A unary call with a bearer token, forwarded, beside the barest pipe from node:http2 to node:http2. */
export async function measureGrpc(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startGrpcUpstream(stage);
  const [quiet, logging, bare] = await Promise.all([
    startGateway(stage, site, { upstream, log: { level: 'info', requests: false } }),
    startGateway(stage, site, { upstream, log: { level: 'info', requests: true } }),
    startBare(stage, 'bare/grpc.ts', upstream),
  ]);
  const headers = { 'flyte-authorization': `Bearer ${await site.provider.token()}` };
  const contestants: Contestant[] = [];
  const enter = async (name: string, server: { pid: number; port: number }) => {
    const url = `http://127.0.0.1:${server.port}/bench.Service/Unary`;
    const { status, bytes } = await callGrpc(new URL(url), { ...grpcHeaders, ...headers }, grpcMessage);
    if (status !== '0' || bytes !== grpcMessage.length) throw new Error(`${name}: grpc-status ${status}`);
    const load = (seconds: number) => loadGrpc(stage, { url, headers, connections, streams }, seconds);
    contestants.push({ name, pids: [server.pid], load });
  };
  await enter('barest node:http2 pipe', bare);
  await enter('gRPC', quiet);
  await enter('gRPC, request log on', logging);
  const { nginx: path } = stage.tools;
  if (path !== undefined) await enter('nginx, grpc_pass', await startProxy(stage, path, upstream));
  const turns = await race(contestants, stage.options);
  return resultOf({ name: 'grpc', title: `gRPC unary, ${connections} connections of ${streams} streams` }, turns, [
    { over: 'gRPC', under: 'barest node:http2 pipe', target: 0.9 },
    { over: 'gRPC, request log on', under: 'barest node:http2 pipe', target: 0.75 },
    { over: 'gRPC', under: 'nginx, grpc_pass' },
  ]);
}

export function startProxy(stage: Stage, path: string, upstream: string): Promise<{ pid: number; port: number }> {
  return startNginx(stage, 'server', {
    path,
    isHttp2: true,
    http: `upstream up { server ${new URL(upstream).host}; keepalive 128; keepalive_requests 1000000000; }`,
    server: 'http2_max_requests 1000000000; location / { grpc_pass grpc://up; }',
  });
}

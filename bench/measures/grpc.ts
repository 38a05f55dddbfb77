import type { Site } from '../gateway.ts';
import { barestPipe, nginxPass, raceGrpc } from '../grpc-race.ts';
import { grpcMessage } from '../load/grpc.ts';
import { type Result, resultOf } from '../result.ts';
import type { Stage } from '../stage.ts';
import { startGrpcUpstream } from '../upstream.ts';

const load = { connections: 8, streams: 16 } as const;

/** Unary calls, each answered with one message of 32 bytes. */
export async function measureGrpc(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startGrpcUpstream(stage);
  const work = { ...load, upstream, name: 'gRPC', messages: 1, answerBytes: grpcMessage.length };
  const turns = await raceGrpc(stage, site, work);
  const title = `gRPC unary, ${load.connections} connections of ${load.streams} streams`;
  return resultOf({ name: 'grpc', title }, turns, [
    { over: 'gRPC', under: barestPipe, target: 0.9 },
    { over: 'gRPC, request log on', under: barestPipe, target: 0.75 },
    { over: 'gRPC', under: nginxPass },
  ]);
}

import type { Site } from '../gateway.ts';
import { barestPipe, nginxPass, raceGrpc } from '../grpc-race.ts';
import { streamedMessages as messages, streamedMessage } from '../load/grpc.ts';
import { type Result, resultOf } from '../result.ts';
import type { Stage } from '../stage.ts';
import { startNode } from '../upstream.ts';

const load = { connections: 8, streams: 4 } as const;

/** Server-streaming calls, each answered with many messages: what one message costs, more than what a call does. */
export async function measureGrpcStreaming(stage: Stage, site: Site): Promise<Result> {
  const upstream = await startNode(stage, 'upstream/messages.ts');
  const work = { ...load, upstream, name: 'gRPC stream', messages, answerBytes: messages * streamedMessage.length };
  const turns = await raceGrpc(stage, site, work);
  const title = `gRPC server streaming, ${messages} messages of 256 bytes a call, ${load.connections} connections of ${load.streams} streams`;
  return resultOf({ name: 'grpc-streaming', title, counted: 'messages' }, turns, [
    { over: 'gRPC stream', under: barestPipe },
    { over: 'gRPC stream, request log on', under: barestPipe },
    { over: 'gRPC stream', under: nginxPass },
  ]);
}

import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { request } from 'undici';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import type { Chance } from './chance.ts';
import type { Person } from './people.ts';
import type { Stage } from './stage.ts';

/** Streams that last longer say nothing new. */
const LONGEST_MS = 15_000;
const TICK_MS = 200;

/**
 * Opens a stream as somebody and listens until it ends, or the person has left and it should have, or it lasted long enough.
 */
export async function watchStreams(stage: Stage, person: Person, chance: Chance, over: AbortSignal): Promise<void> {
  if (stage.members.length === 0) return;
  const { url } = chance.oneOf(stage.members);
  const cookie = [...person.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const signal = AbortSignal.any([over, AbortSignal.timeout(LONGEST_MS)]);
  const kind = chance.oneOf(['events', 'grpc'] as const);
  const seen = { isOpen: true };
  const untilShouldEnd = look(stage, person, { kind, seen, over });
  await (kind === 'events'
    ? watchEvents(stage, url, cookie, signal)
    : watchGrpc(stage, { url, cookie, person, signal }));
  seen.isOpen = false;
  await untilShouldEnd;
}

/** Looks whether a stream goes on although its person is signed out. */
async function look(
  { ledger, troubles }: Stage,
  person: Person,
  stream: { kind: string; seen: { isOpen: boolean }; over: AbortSignal },
): Promise<void> {
  while (stream.seen.isOpen && !stream.over.aborted) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    const { ackAt, subject } = person;
    if (ackAt === undefined || !stream.seen.isOpen) continue;
    if (Date.now() <= troubles.inForceAt(ackAt) + TICK_MS) continue;
    ledger.violate('what a signed-out session has open ends', {
      subject,
      kind: stream.kind,
      ackMsAgo: Date.now() - ackAt,
    });
    return;
  }
}

async function watchEvents({ ledger, host }: Stage, url: string, cookie: string, signal: AbortSignal): Promise<void> {
  try {
    const headers = { host, cookie, accept: 'text/event-stream' };
    const { statusCode, body } = await request(`${url}/api/v1/ticks`, { headers, signal });
    ledger.count(`events ${statusCode}`);
    for await (const _ of body) if (statusCode !== 200) break;
    ledger.count('events done');
  } catch {
    // Cut, by whoever it was: the service, a gateway that went, a sign-out, or we have seen enough.
    ledger.count(signal.aborted ? 'events seen long enough' : 'events cut');
  }
}

async function watchGrpc(
  { ledger, troubles }: Stage,
  { url, cookie, person, signal }: { url: string; cookie: string; person: Person; signal: AbortSignal },
): Promise<void> {
  const withCookie: Interceptor = (next) => (asked) => {
    asked.header.set('cookie', cookie);
    return next(asked);
  };
  const transport = createGrpcTransport({ baseUrl: url, interceptors: [withCookie], idleConnectionTimeoutMs: 1000 });
  try {
    const ticks = { text: 'tick', count: 10_000, intervalMs: TICK_MS };
    for await (const _ of createClient(EchoService, transport).serverStream(ticks, { signal }))
      ledger.count('grpc message');
    ledger.count('grpc done');
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    ledger.count(signal.aborted ? 'grpc seen long enough' : `grpc ${Code[code]}`);
    if (code !== Code.Unauthenticated || person.isLeaving || person.isGone) return;
    if (troubles.mayBeGone(person) === undefined)
      ledger.violate('nobody is signed out wrongly', { stream: 'grpc', subject: person.subject, rawMessage });
  }
}

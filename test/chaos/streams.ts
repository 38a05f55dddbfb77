import { Code, ConnectError, createClient, type Interceptor } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { request } from 'undici';
import { EchoService } from '../../src/demo/gen/flytegate/demo/v1/echo_pb.ts';
import type { Member } from './member.ts';
import type { Person } from './people.ts';
import type { Stage } from './stage.ts';

/** Streams that last longer say nothing new. */
const LONGEST_MS = 15_000;
const TICK_MS = 200;

/** A stream that somebody asks for. */
export interface Asked {
  readonly person: Person;
  readonly kind: 'events' | 'grpc';
  readonly through: Member;
}

interface Stream extends Asked {
  /** A request that waits for its answer, at a provider that takes its time say, is no stream yet. */
  state: 'asked' | 'open' | 'ended';
}

export const streamKinds = ['events', 'grpc'] as const;

/**
 * Opens a stream and listens until it ends, or the person has left and it should have, or it lasted long enough.
 */
export async function watchStream(stage: Stage, asked: Asked, over: AbortSignal): Promise<void> {
  const { person, through, kind } = asked;
  const cookie = [...person.jar].map(([name, value]) => `${name}=${value}`).join('; ');
  const signal = AbortSignal.any([over, AbortSignal.timeout(LONGEST_MS)]);
  const stream: Stream = { ...asked, state: 'asked' };
  const watched = look(stage, stream, over);
  await (kind === 'events' ? watchEvents : watchGrpc)(stage, stream, { url: through.url, cookie, signal });
  if (stream.state === 'open') ended(stage, stream);
  stream.state = 'ended';
  await watched;
}

function opened(stream: Stream): void {
  if (stream.state === 'open') return;
  stream.state = 'open';
  stream.person.streams.push(stream.through.name);
}

function ended({ ledger, clock }: Stage, { person, through }: Stream): void {
  person.streams.splice(person.streams.indexOf(through.name), 1);
  const isUnknown = person.isGone && person.ackAt === undefined;
  if (!person.isLeaving || isUnknown) return;
  // Often before whoever signs out hears that it is done.
  const afterMs = person.ackAt === undefined ? 0 : clock.now() - person.ackAt;
  const word = afterMs <= 250 ? 'at once' : afterMs <= 1000 ? 'in a second' : 'later';
  ledger.count(`stream ended with its session, ${word}`);
}

/** Looks whether a stream goes on although its person is signed out. */
async function look({ ledger, troubles, clock }: Stage, stream: Stream, over: AbortSignal): Promise<void> {
  const { kind, person } = stream;
  const through = stream.through.name;
  while (stream.state !== 'ended' && !over.aborted) {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    const { ackAt, subject } = person;
    if (ackAt === undefined || stream.state !== 'open') continue;
    if (clock.now() <= troubles.endsBy(ackAt) + TICK_MS) continue;
    const ackMsAgo = Math.round(clock.now() - ackAt);
    ledger.violate('what a signed-out session has open ends', { subject, kind, through, ackMsAgo });
    return;
  }
}

interface Sent {
  readonly url: string;
  readonly cookie: string;
  readonly signal: AbortSignal;
}

async function watchEvents({ ledger, host }: Stage, stream: Stream, { url, cookie, signal }: Sent): Promise<void> {
  try {
    const headers = { host, cookie, accept: 'text/event-stream' };
    const { statusCode, body } = await request(`${url}/api/v1/ticks`, { headers, signal });
    ledger.count(`events ${statusCode}`);
    if (statusCode === 200) opened(stream);
    for await (const _ of body) if (statusCode !== 200) break;
    ledger.count('events done');
  } catch {
    // Cut, by whoever it was: the service, a gateway that went, a sign-out, or we have seen enough.
    ledger.count(signal.aborted ? 'events seen long enough' : 'events cut');
  }
}

async function watchGrpc({ ledger, troubles }: Stage, stream: Stream, { url, cookie, signal }: Sent): Promise<void> {
  const { person } = stream;
  const withCookie: Interceptor = (next) => (asked) => {
    asked.header.set('cookie', cookie);
    return next(asked);
  };
  const transport = createGrpcTransport({ baseUrl: url, interceptors: [withCookie], idleConnectionTimeoutMs: 1000 });
  try {
    const ticks = { text: 'tick', count: 10_000, intervalMs: TICK_MS };
    for await (const _ of createClient(EchoService, transport).serverStream(ticks, { signal })) {
      opened(stream);
      ledger.count('grpc message');
    }
    ledger.count('grpc done');
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    ledger.count(signal.aborted ? 'grpc seen long enough' : `grpc ${Code[code]}`);
    if (code !== Code.Unauthenticated || person.isLeaving || person.isGone) return;
    if (troubles.mayBeGone(person) === undefined)
      ledger.violate('nobody is signed out wrongly', { stream: 'grpc', subject: person.subject, rawMessage });
  }
}

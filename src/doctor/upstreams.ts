import type { X509Certificate } from 'node:crypto';
import { connect as connectHttp2 } from 'node:http2';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { Address, Config, Upstream } from '../config/config.ts';
import type { Clock, Millis } from '../config/units.ts';
import { createDial, type Dial, type Protocol } from '../forward/dial.ts';
import { systemLookup } from '../forward/resolver.ts';
import { createTlsIdentity } from '../forward/tls-identity.ts';
import { errorCode, shortly } from './error-code.ts';
import { type Finding, ok, problem } from './finding.ts';
import { judgeCertificate, remedyOfTls } from './judge-certificate.ts';

interface Needs {
  readonly config: Config;
  readonly now: Clock;
  readonly timeoutMs: Millis;
}

/** What became of one protocol at one address. */
export type Spoken =
  | { readonly kind: 'spoken'; readonly certificate: X509Certificate | undefined }
  /** Connected, and the answer is not this protocol. */
  | { readonly kind: 'other' }
  | { readonly kind: 'unreachable'; readonly error: unknown };

/** Addresses that are looked at together. */
const AT_ONCE = 32;

const OTHER: Spoken = { kind: 'other' };

function wantsHttp2(protocol: Upstream['protocol']): boolean {
  return protocol === 'h2' || protocol === 'h2c';
}

/** Whether each address of each upstream is reached and speaks what its URL promises. Never throws. */
export async function checkUpstreams(needs: Needs): Promise<readonly Finding[]> {
  const places = Object.values(needs.config.upstreams).flatMap((upstream) =>
    upstream.targets.map((target) => ({ upstream, target })),
  );
  const found: Finding[] = [];
  for (let at = 0; at < places.length; at += AT_ONCE) {
    const some = places.slice(at, at + AT_ONCE);
    const these = await Promise.all(some.map(({ upstream, target }) => checkTarget(upstream, target, needs)));
    found.push(...these.flat());
  }
  return found;
}

async function checkTarget(
  upstream: Upstream,
  target: Address,
  { now, timeoutMs }: Needs,
): Promise<readonly Finding[]> {
  const bounded = { ...upstream, connectTimeoutMs: Math.min(upstream.connectTimeoutMs, timeoutMs) };
  const where = `${upstream.name} at ${upstream.protocol}://${target.host}:${target.port}`;
  try {
    const dial = createDial(bounded, createTlsIdentity(bounded), systemLookup);
    const place = { dial, place: { target: target.host, ...target }, timeoutMs };
    const http2 = speak('h2', place);
    // Where HTTP/2 is wanted and spoken nothing else is of interest, and many would let the question wait.
    const isEnough = wantsHttp2(upstream.protocol) && (await http2).kind === 'spoken';
    const http1 = isEnough ? OTHER : speak('http/1.1', place);
    const spoken = { http1: await http1, http2: await http2 };
    const finding = judgeSpoken(upstream.protocol, where, spoken);
    const shown = Object.values(spoken).find(({ kind }) => kind === 'spoken');
    const certificate = shown?.kind === 'spoken' ? shown.certificate : undefined;
    if (!certificate) return [finding];
    const host = upstream.serverName ?? target.host;
    const judged = judgeCertificate(certificate, {
      check: 'upstream',
      where: `the certificate of ${upstream.name}`,
      host,
      now: now(),
    });
    return judged.verdict === 'ok' ? [finding] : [finding, judged];
  } catch (error) {
    return [problem('upstream', `${where}: ${shortly(error)}`, 'compare its settings')];
  }
}

/** Whether what an upstream speaks is what its URL promises. Pure. */
export function judgeSpoken(
  protocol: Upstream['protocol'],
  where: string,
  { http1, http2 }: { http1: Spoken; http2: Spoken },
): Finding {
  const speaks = { http1: http1.kind === 'spoken', http2: http2.kind === 'spoken' };
  const isHttp2 = wantsHttp2(protocol);
  // Why the protocol that is declared was not to be had is what counts.
  if (http1.kind === 'unreachable' && http2.kind === 'unreachable')
    return unreachable(where, isHttp2 ? http2.error : http1.error);
  const cleartext = protocol === 'http' || protocol === 'h2c';
  if (!speaks.http1 && !speaks.http2)
    return problem(
      'upstream',
      `${where} takes connections and speaks no HTTP`,
      'another port, or TLS where the URL has none',
    );
  if (isHttp2 && !speaks.http2)
    return problem('upstream', `${where} speaks HTTP/1.1 only`, `write ${cleartext ? 'http' : 'https'}:// in its url`);
  if (!isHttp2 && !speaks.http1)
    return problem('upstream', `${where} speaks HTTP/2 only`, `write ${cleartext ? 'h2c' : 'h2'}:// in its url`);
  if (!isHttp2 && !speaks.http2)
    return ok('upstream', `${where} speaks HTTP/1.1, and no HTTP/2: gRPC calls that are routed there fail`);
  return ok('upstream', `${where} speaks ${speaks.http1 ? 'HTTP/1.1 and HTTP/2' : 'HTTP/2'}`);
}

function unreachable(where: string, error: unknown): Finding {
  const code = errorCode(error) ?? '';
  const tls = remedyOfTls(code);
  if (tls) return problem('upstream', `${where} cannot be spoken to by TLS: ${code}`, `${tls} (of this upstream)`);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return problem(
      'upstream',
      `${where}: no such name is known here`,
      'name the service with its namespace: flyteadmin.flyte.svc.cluster.local',
    );
  return problem(
    'upstream',
    `${where} cannot be reached: ${shortly(error)}`,
    'see that it runs, listens on that port, and that a NetworkPolicy lets the gateway in',
  );
}

interface At {
  readonly dial: Dial;
  readonly place: Parameters<Dial['open']>[0];
  readonly timeoutMs: Millis;
}

function speak(protocol: Protocol, at: At): Promise<Spoken> {
  return protocol === 'h2' ? speakHttp2(at) : speakHttp1(at);
}

/** HTTP/2 is spoken by whoever sends SETTINGS first (RFC 9113 §3.4). */
function speakHttp2({ dial, place, timeoutMs }: At): Promise<Spoken> {
  return new Promise((resolve) => {
    const socket = dial.open(place, 'h2');
    let isConnected = false;
    socket.once(isTls(socket) ? 'secureConnect' : 'connect', () => {
      isConnected = true;
    });
    const session = connectHttp2('http://doctor.invalid', { createConnection: (): Duplex => socket });
    const timer = setTimeout(() => end({ kind: 'other' }), timeoutMs);
    const end = (spoken: Spoken) => {
      clearTimeout(timer);
      resolve(spoken);
      session.destroy();
      socket.destroy();
    };
    const failed = (error: unknown) => end(isConnected ? { kind: 'other' } : { kind: 'unreachable', error });
    // Of the errors that follow one another only the first counts: `end` resolves once.
    session.on('error', failed);
    socket.on('error', failed);
    session.once('close', () => failed(new Error('closed')));
    session.once('remoteSettings', () => end({ kind: 'spoken', certificate: certificateOf(socket) }));
  });
}

/** Any status line will do: what is asked for need not be there. */
function speakHttp1({ dial, place, timeoutMs }: At): Promise<Spoken> {
  return new Promise((resolve) => {
    const socket = dial.open(place, 'http/1.1');
    let isConnected = false;
    let first = '';
    const timer = setTimeout(() => end({ kind: 'other' }), timeoutMs);
    const end = (spoken: Spoken) => {
      clearTimeout(timer);
      resolve(spoken);
      socket.destroy();
    };
    const failed = (error: unknown) => end(isConnected ? { kind: 'other' } : { kind: 'unreachable', error });
    socket.once(isTls(socket) ? 'secureConnect' : 'connect', () => {
      isConnected = true;
      socket.write(`HEAD / HTTP/1.1\r\nHost: ${place.target}\r\nUser-Agent: flytegate\r\nConnection: close\r\n\r\n`);
    });
    socket.on('error', failed);
    socket.once('close', () => failed(new Error('closed')));
    socket.on('data', (chunk: Buffer) => {
      first += chunk.toString('latin1');
      if (first.length < 9) return;
      end(first.startsWith('HTTP/1.') ? { kind: 'spoken', certificate: certificateOf(socket) } : { kind: 'other' });
    });
  });
}

function isTls(socket: Duplex): socket is TLSSocket {
  return socket instanceof TLSSocket;
}

function certificateOf(socket: Duplex): X509Certificate | undefined {
  return isTls(socket) ? socket.getPeerX509Certificate() : undefined;
}

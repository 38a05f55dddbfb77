import { withoutCookies } from '../server/cookie.ts';
import type { Exchange } from '../server/exchange.ts';
import { assertWritableValue } from '../server/writable-field.ts';
import { createVerdicts, type HeaderRules, type Verdicts } from './field-verdicts.ts';
import type { ForwardPlan } from './plan.ts';
import { type RawFields, textOf } from './raw-fields.ts';

/** How the message travels next: the framing fields belong to the hop (RFC 9110 §7.6.1). */
export type Hop = 'http1' | 'http2' | 'upgrade';

export interface RequestFields {
  /** Flat. For HTTP/1.1 with `Host`; for HTTP/2 in lower case and without pseudo-headers. */
  readonly fields: string[];
  /** Whether the head announces a body, of length zero or more. Says nothing of an HTTP/2 caller: END_STREAM does. */
  readonly announcesBody: boolean;
}

export interface AnswerFields {
  readonly fields: string[];
  readonly hasLength: boolean;
}

export interface Headers {
  /**
   * The fields of a request as the upstream shall see them: byte for byte and in order, except what belongs to the hop,
   * claims an identity, or is a credential of ours; then our own, which nothing the caller sent can remove.
   *
   * @param begun what the fields are added to: HTTP/2's pseudo-headers
   */
  request(exchange: Exchange, plan: ForwardPlan, hop: Hop, begun?: string[]): RequestFields;
  /**
   * The fields of an answer as the caller shall see them, byte for byte without those of the hop; our cookie comes last.
   *
   * @param raw flat names and values, as latin1 strings or as bytes
   */
  answer(raw: RawFields, hop: Hop, setCookie?: string): AnswerFields;
  /** Trailers without what no trailer may say: framing, routing, credentials and identities (RFC 9110 §6.5.1). */
  trailers(raw: RawFields): string[];
}

/** The rules for header fields, both ways. Pure. */
export function createHeaders(rules: HeaderRules): Headers {
  const verdicts = createVerdicts(rules);
  return {
    request: (exchange, plan, hop, begun = []) => requestFields({ rules, verdicts, exchange, plan, hop }, begun),
    answer: (raw, hop, setCookie) => answerFields({ rules, verdicts, hop, setCookie }, textOf(raw)),
    trailers: (raw) => trailerFields(verdicts, textOf(raw)),
  };
}

/**
 * The host that the upstream hears: byte for byte as the request named it, unless a trusted proxy named another one. That
 * one chose the route, and a service that read a different one could be asked for what the route does not allow.
 */
export function hostFor({ head }: Exchange, { client, upstreamHost }: ForwardPlan): string {
  if (upstreamHost !== undefined) return upstreamHost;
  return head.authority?.toLowerCase() === client.host ? head.authority : client.host;
}

interface RequestJob {
  readonly rules: HeaderRules;
  readonly verdicts: Verdicts;
  readonly exchange: Exchange;
  readonly plan: ForwardPlan;
  readonly hop: Hop;
}

function requestFields(job: RequestJob, begun: string[]): RequestFields {
  const { exchange, verdicts, hop } = job;
  const { raw } = exchange.head.fields;
  const named = namedByConnection(raw, verdicts);
  const carried: Carried = { fields: begun, announcesBody: false, cookieAt: -1, upgrade: undefined };
  if (hop !== 'http2') carried.fields.push('Host', hostFor(exchange, job.plan));
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (named?.has(name.toLowerCase()) && !verdicts.isEssential(name)) continue;
    carry(job, carried, name, raw[i + 1] ?? '');
  }
  if (hop === 'upgrade') carried.fields.push('Connection', 'Upgrade', 'Upgrade', carried.upgrade ?? 'websocket');
  addOurs(job, carried.fields);
  return carried;
}

interface Carried {
  readonly fields: string[];
  announcesBody: boolean;
  /** Where the value of the one Cookie field stands that HTTP/2 callers may have sent in pieces. */
  cookieAt: number;
  upgrade: string | undefined;
}

function carry(job: RequestJob, carried: Carried, name: string, value: string): void {
  switch (job.verdicts.of(name)) {
    case 'keep':
      push(carried.fields, job.hop, name, value);
      break;
    case 'length':
      if (value !== '0') carried.announcesBody = true;
      // An upgrade has no body: with a length, the first bytes of the tunnel could be read as one.
      if (job.hop !== 'upgrade') push(carried.fields, job.hop, name, value);
      break;
    case 'chunked':
      carried.announcesBody = true;
      break;
    case 'te':
      if (job.hop === 'http2' && /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value)) carried.fields.push('te', 'trailers');
      break;
    case 'trailer':
      if (job.hop === 'http2') push(carried.fields, job.hop, name, value);
      break;
    case 'bearer':
      if (goesOn(job.plan, name, value)) push(carried.fields, job.hop, name, value);
      break;
    case 'cookie':
      carryCookies(job, carried, name, value);
      break;
    case 'proxy-credential':
      if (job.plan.passesProxyAuthorization) push(carried.fields, job.hop, name, value);
      break;
    case 'upgrade':
      carried.upgrade = value;
      break;
    case 'connection':
    case 'host':
    case 'drop':
      break;
  }
}

/** Whether a credential goes on as it came. */
function goesOn({ bearer, authorization }: ForwardPlan, name: string, value: string): boolean {
  const isReplaced = authorization !== undefined && name.toLowerCase() === 'authorization';
  return !isReplaced && carriesToken(value, bearer);
}

/** Whether a credential field says the proved token and nothing else (RFC 6750 §2.1). */
function carriesToken(value: string, token: string | undefined): boolean {
  if (token === undefined || token === '') return false;
  const scheme = /^bearer[ \t]+/i.exec(value)?.[0];
  return scheme !== undefined && value.slice(scheme.length) === token;
}

function carryCookies(job: RequestJob, carried: Carried, name: string, value: string): void {
  const rest = withoutCookies(value, job.rules.isOurCookie);
  if (rest === undefined) return;
  const mustJoin = job.exchange.head.version === '2' && job.hop !== 'http2';
  if (mustJoin && carried.cookieAt !== -1) {
    // RFC 9113 §8.2.3: the pieces become one field before they leave HTTP/2.
    carried.fields[carried.cookieAt] += `; ${rest}`;
    return;
  }
  push(carried.fields, job.hop, name, rest);
  carried.cookieAt = carried.fields.length - 1;
}

function addOurs(job: RequestJob, fields: string[]): void {
  const { plan, exchange, hop } = job;
  for (let i = 0; i < plan.identity.length; i += 2)
    pushOurs(fields, hop, plan.identity[i] ?? '', plan.identity[i + 1] ?? '');
  if (plan.authorization !== undefined) pushOurs(fields, hop, 'Authorization', `Bearer ${plan.authorization}`);
  pushOurs(fields, hop, 'X-Forwarded-For', plan.client.address);
  pushOurs(fields, hop, 'X-Forwarded-Proto', plan.client.scheme);
  pushOurs(fields, hop, 'X-Forwarded-Host', plan.client.host);
  pushOurs(fields, hop, 'X-Request-ID', plan.client.requestId ?? exchange.id);
}

/**
 * Clients of HTTP/1.1 check by themselves; Node's HTTP/2 checks names, but would take a NUL for the end of a value, and what
 * follows for another field.
 *
 * @throws {TypeError} for a value that cannot be written
 */
function pushOurs(fields: string[], hop: Hop, name: string, value: string): void {
  if (hop === 'http2') assertWritableValue(name, value);
  push(fields, hop, name, value);
}

interface AnswerJob {
  readonly rules: HeaderRules;
  readonly verdicts: Verdicts;
  readonly hop: Hop;
  readonly setCookie: string | undefined;
}

function answerFields({ rules, verdicts, hop, setCookie }: AnswerJob, raw: readonly string[]): AnswerFields {
  const named = namedByConnection(raw, verdicts);
  const fields: string[] = [];
  let hasLength = false;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    const value = raw[i + 1] ?? '';
    const verdict = verdicts.ofAnswer(name);
    if (hop === 'upgrade' && verdict !== 'keep' && verdict !== 'set-cookie') {
      carrySwitch(fields, name, value);
      continue;
    }
    if (verdict === 'drop') continue;
    // A service that sets our session would sign people in as somebody it chose.
    if (verdict === 'set-cookie' && rules.isOurCookie(cookieName(value))) continue;
    if (named?.has(name.toLowerCase()) && !verdicts.isEssential(name)) continue;
    if (verdict === 'length') hasLength = true;
    push(fields, hop, name, value);
  }
  if (setCookie !== undefined) {
    // A shared cache that keeps the answer must not hand one person's session to the next (RFC 9111 §5.2.2.4).
    push(fields, hop, 'Cache-Control', 'no-cache="Set-Cookie"');
    push(fields, hop, 'Set-Cookie', setCookie);
  }
  return { fields, hasLength };
}

/**
 * The name that a Set-Cookie has when it comes back. Browsers store `=a=b` and `a` without a name, and send them as `a=b`
 * and `a` (RFC 6265bis §5.6).
 */
function cookieName(setCookie: string): string {
  const [pair = ''] = setCookie.split(';', 1);
  const [name = ''] = pair.replace(/^[=\s]+/, '').split('=', 1);
  return name.trim();
}

/** Of the fields that frame a message, a 101 answer has those two that say what follows (RFC 9110 §7.8). */
function carrySwitch(fields: string[], name: string, value: string): void {
  const lower = name.toLowerCase();
  if (lower === 'upgrade') fields.push(name, value);
  if (lower === 'connection') fields.push(name, /^upgrade$/i.test(value) ? value : 'Upgrade');
}

function trailerFields(verdicts: Verdicts, raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? '';
    if (verdicts.of(name) === 'keep' && !verdicts.isEssential(name)) fields.push(name.toLowerCase(), raw[i + 1] ?? '');
  }
  return fields;
}

function push(fields: string[], hop: Hop, name: string, value: string): void {
  fields.push(hop === 'http2' ? name.toLowerCase() : name, value);
}

/** The lower-case names that the Connection fields nominate; undefined when they name nothing but the usual. */
function namedByConnection(raw: readonly string[], verdicts: Verdicts): Set<string> | undefined {
  let named: Set<string> | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    if (verdicts.of(raw[i] ?? '') !== 'connection') continue;
    const value = (raw[i + 1] ?? '').toLowerCase();
    if (value === 'keep-alive' || value === 'close' || value === 'upgrade') continue;
    named ??= new Set();
    for (const token of value.split(',')) named.add(token.trim());
  }
  return named;
}

import type { Decisions } from './access/decisions.ts';
import { authenticated } from './access/policy.ts';
import { failurePage, signedOutPage } from './answer/pages.ts';
import { bare, methodRefused } from './answer/plain-replies.ts';
import { refusalFor, refusalOf } from './answer/refusal.ts';
import { sessionsPage } from './answer/sessions-page.ts';
import type { TurnAway } from './answer/turn-away.ts';
import { type CredentialNames, readCredential } from './authenticate/credential.ts';
import type { Clock } from './config/units.ts';
import { Failure } from './failure.ts';
import type { Asked, Endpoint } from './handle.ts';
import { personDigest } from './observe/facts.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { isOwnPage } from './oidc/logout.ts';
import type { Reply } from './server/exchange.ts';
import { readSmallBody } from './server/small-body.ts';
import type { SessionLimits } from './session/limits.ts';
import type { SessionMarks } from './session/marks.ts';
import { namedSignOut, personSignOut } from './session/person-sign-out.ts';
import type { Revocation, Revocations, Revoked } from './session/revocations.ts';
import type { ListedSession, Whereabouts } from './session/session-list.ts';
import type { SessionStore } from './session/store.ts';

export interface SessionsNeeds {
  readonly store: Pick<SessionStore, 'list'>;
  readonly revocations: Pick<Revocations, 'revoke' | 'isRevoked'>;
  readonly limits: SessionLimits;
  readonly decisions: Decisions;
  readonly credentialNames: CredentialNames;
  readonly authorizedUris: readonly string[];
  /** Where a request came from. */
  readonly whereabouts: (asked: Asked) => Whereabouts;
  readonly setSession: (cookie: string) => string;
  readonly clearSession: string;
  readonly turnAway: TurnAway;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly now: Clock;
}

const METHODS = ['GET', 'HEAD', 'POST'];
/** A form of one button. */
const MAX_FORM_BYTES = 4096;
const FORM_MS = 10_000;
const signInAt = '/login?redirect_url=%2Fsessions';

/** `/sessions`: a signed-in person sees where they are signed in, and ends it: one, or all others. */
export function createSessionsEndpoint(needs: SessionsNeeds): Endpoint {
  return async (asked) => {
    const { exchange, target } = asked;
    const { fields, method } = exchange.head;
    if (!METHODS.includes(method)) return exchange.send(methodRefused(METHODS, exchange.id));
    // Before anything else: another site's form must not learn even whether somebody is signed in.
    const request = { fetchSite: fields.get('sec-fetch-site'), pageOrigin: fields.get('origin') };
    if (method === 'POST' && !isOwnPage(request, needs.authorizedUris))
      return needs.turnAway(exchange, refusalFor('origin_refused'), { path: target.path });
    const person = await recognise(asked, needs);
    if (!person) return;
    needs.metrics.request('endpoint');
    const reply = await attempt(
      asked,
      method === 'POST' ? () => end(asked, person, needs) : () => show(asked, person, needs),
      needs,
    );
    if (reply) exchange.send(finished(reply, person, exchange.id));
  };
}

interface Person {
  readonly session: SessionMarks;
  /** Whole Set-Cookie value, when the session was renewed on the way. */
  readonly setCookie: string | undefined;
}

/** @returns undefined for somebody who was turned away */
async function recognise({ exchange, target, client }: Asked, needs: SessionsNeeds): Promise<Person | undefined> {
  const { path } = target;
  const credential = readCredential(exchange.head.fields, needs.credentialNames);
  if (credential.kind === 'refused' && credential.status === 400) {
    needs.turnAway(exchange, refusalFor(credential.why), { path });
    return undefined;
  }
  const decision = await needs.decisions.decide(credential, authenticated, exchange.connection, client.address);
  if (decision.kind !== 'allow') {
    const cause = decision.kind === 'unavailable' ? { cause: decision.cause } : {};
    needs.turnAway(exchange, refusalOf(decision), { path, signInAt, ...cause });
    return undefined;
  }
  const { session } = decision.identity;
  if (!session) {
    // A bearer token has no session, and whoever holds one is not thereby the person at a browser.
    needs.turnAway(exchange, refusalFor('credential_missing'), { path, signInAt });
    return undefined;
  }
  const renewed = decision.renewedCookie;
  return { session, setCookie: renewed === undefined ? undefined : needs.setSession(renewed) };
}

async function attempt(
  { exchange }: Asked,
  act: () => Promise<Reply | undefined>,
  { log }: SessionsNeeds,
): Promise<Reply | undefined> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    log.warn('sessions.failed', { id: exchange.id, code: cause.code, cause });
    return failurePage({ status: 503, code: cause.code, id: exchange.id, retry: '/sessions' });
  }
}

async function show(asked: Asked, { session }: Person, needs: SessionsNeeds): Promise<Reply> {
  const now = needs.now();
  const all = await sessionsOf(session, needs);
  const { startedAt } = session;
  const asItComes = {
    ...session,
    seenAt: now,
    endsAt: startedAt + needs.limits.absoluteMs,
    ...needs.whereabouts(asked),
  };
  const current = all?.find(({ handle }) => handle === session.handle) ?? asItComes;
  const others = (all ?? []).filter(({ handle }) => handle !== session.handle);
  return sessionsPage({ current, others, isWhole: all !== undefined, now });
}

/** @returns undefined where nobody knows */
async function sessionsOf(person: SessionMarks, needs: SessionsNeeds): Promise<readonly ListedSession[] | undefined> {
  const all = await needs.store.list?.ofPerson(person);
  return all?.filter((one) => !needs.revocations.isRevoked(one));
}

/** @returns undefined when nobody is left to answer */
async function end(asked: Asked, { session }: Person, needs: SessionsNeeds): Promise<Reply | undefined> {
  const body = await readSmallBody(asked.exchange, { maxBytes: MAX_FORM_BYTES, timeoutMs: FORM_MS });
  if (body.kind === 'lost') return undefined;
  if (body.kind !== 'whole') return bare(body.kind === 'too-long' ? 413 : 408);
  const [what, second] = new URLSearchParams(Buffer.from(body.bytes).toString('latin1')).getAll('end');
  if (what === undefined || second !== undefined) return bare(400);
  if (what === 'everywhere') return endEverywhere(session, needs);
  const others = ((await sessionsOf(session, needs)) ?? []).filter(({ handle }) => handle !== session.handle);
  // Of this person's only: a handle is a name, and no right to anything.
  const meant = what === 'others' ? others : others.filter(({ handle }) => handle === what);
  const at = needs.now();
  await revokeAll(
    meant.map(({ endsAt, ...one }) => ({ of: sessionOf(one), at, until: endsAt })),
    session,
    needs,
  );
  return { status: 303, fields: ['Location', '/sessions', 'Referrer-Policy', 'no-referrer'] };
}

async function endEverywhere(session: SessionMarks, needs: SessionsNeeds): Promise<Reply> {
  const { limits } = needs;
  const now = needs.now();
  await revokeAll([personSignOut(session, { now, limits })], session, needs);
  // Also one by one, where they are known: a session may have begun by a clock that is further ahead than they should be.
  const known = [session, ...((await sessionsOf(session, needs)) ?? [])];
  const each = known.map((one) => namedSignOut(sessionOf(one), { now, limits }));
  await Promise.all(each.map((one) => needs.revocations.revoke(one)));
  const page = signedOutPage();
  return { ...page, fields: [...page.fields, 'Set-Cookie', needs.clearSession] };
}

function sessionOf({ handle, issuer, subject }: SessionMarks): Extract<Revoked, { kind: 'session' }> {
  return { kind: 'session', handle, issuer, subject };
}

async function revokeAll(all: readonly Revocation[], by: SessionMarks, needs: SessionsNeeds): Promise<void> {
  for (const { of } of all) {
    needs.metrics.signOut();
    needs.log.info('logout.by_person', {
      issuer: by.issuer,
      subject: personDigest(by.issuer, by.subject),
      of: of.kind,
      ...(of.kind === 'session' && { session: of.handle }),
    });
  }
  await Promise.all(all.map((one) => needs.revocations.revoke(one)));
}

function finished(reply: Reply, { setCookie }: Person, id: string): Reply {
  const { fields } = reply;
  const isCleared = fields.includes('Set-Cookie');
  const cookie = setCookie === undefined || isCleared ? [] : ['Set-Cookie', setCookie];
  const isKept = fields.includes('Cache-Control') ? [] : ['Cache-Control', 'no-store'];
  return { ...reply, fields: [...fields, ...isKept, 'X-Accel-Expires', '0', 'X-Request-ID', id, ...cookie] };
}

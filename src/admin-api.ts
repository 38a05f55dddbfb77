import { hash, timingSafeEqual } from 'node:crypto';
import { createFailedTries, type FailedTries } from './authenticate/failed-tries.ts';
import type { Secret } from './config/secret.ts';
import type { Clock } from './config/units.ts';
import { Failure } from './failure.ts';
import type { AdminApi, AdminReply, AdminRequest } from './observe/admin.ts';
import type { Log } from './observe/log.ts';
import type { OperatorSessions } from './operator-sessions.ts';
import type { Revoked } from './session/revocations.ts';
import type { ListedSession } from './session/session-list.ts';

/** Wrong tokens in a minute; the right one is refused then, too, or guessing would not be limited. */
const FAILURES = { address: 10, all: 600 };
const LONGEST_NAME = 255;

/**
 * The operator's API under `/api/` of the admin port, for whoever has the token: lists sessions and ends them.
 *
 * - `GET /api/sessions[?subject=…[&issuer=…]|?cursor=…]`
 * - `POST /api/sessions/revoke` with `{session}`, `{sid[, issuer]}` or `{subject[, issuer]}`
 *
 * Its settings: the token, without which it is off, and the issuer of people's sign-ins, where a request names none.
 */
export function createAdminApi(needs: {
  /** As the settings in force have it. */
  readonly settings: () => { readonly token: Secret | undefined; readonly issuer: string };
  readonly sessions: OperatorSessions;
  readonly log: Log;
  readonly now: Clock;
}): AdminApi {
  const { log, now } = needs;
  const onFull = (by: string) => log.warn('admin.limit_reached', { by });
  const tries = createFailedTries({ limits: FAILURES, now, onFull });
  return async (request) => {
    const refused = refuse(request, needs, tries);
    if (refused) return refused;
    try {
      return await answer(request, needs);
    } catch (cause) {
      if (!(cause instanceof Failure)) throw cause;
      // An outage, which is in the log already; anything else is thrown.
      log.warn('admin.failed', { path: request.path, code: cause.code, cause });
      const revoking = 'not everybody could be told: ask again (this process has heard it)';
      return fail(503, 'unavailable', request.method === 'POST' ? revoking : 'the store cannot be asked: try again');
    }
  };
}

type Needs = Parameters<typeof createAdminApi>[0];

function refuse(request: AdminRequest, { settings, log }: Needs, tries: FailedTries): AdminReply | undefined {
  const { token } = settings();
  if (!token) return fail(404, 'not_found', 'the API is off: put a token into the secret file admin_token');
  const begun = tries.begin({ address: request.address });
  // Nothing is waited for in between, so none is ever under way.
  if (begun.kind !== 'go')
    return fail(429, 'resource_exhausted', 'too many wrong tokens came lately: try again in a minute');
  const isRight = isSame(bearerOf(request.authorization), token.reveal());
  begun.end(isRight ? 'succeeded' : 'failed');
  if (isRight) return undefined;
  log.warn('admin.refused', { path: request.path, client: request.address });
  return { ...fail(401, 'unauthenticated', 'send the admin token as a bearer token'), challenge: 'Bearer' };
}

function bearerOf(authorization: string | undefined): string {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? '';
}

/** In a time that tells nothing of either, as what is compared are their digests. */
function isSame(given: string, token: string): boolean {
  return timingSafeEqual(hash('sha256', given, 'buffer'), hash('sha256', token, 'buffer'));
}

async function answer(request: AdminRequest, needs: Needs): Promise<AdminReply> {
  const { path, method, query } = request;
  if (path === '/api/sessions') {
    if (method !== 'GET') return fail(405, 'unimplemented', 'GET lists them; POST /api/sessions/revoke ends them');
    return list(query, needs);
  }
  if (path !== '/api/sessions/revoke') return fail(404, 'not_found', 'here are /api/sessions and /api/sessions/revoke');
  if (method !== 'POST') return fail(405, 'unimplemented', 'POST only');
  const of = whatToRevoke(request.body, needs.settings().issuer);
  if (of === undefined)
    return fail(400, 'invalid_argument', 'send {"session": …}, {"sid": …} or {"subject": …}; issuer may stand beside');
  await needs.sessions.revoke(of);
  return { status: 200, body: { revoked: of } };
}

async function list(query: URLSearchParams, { sessions, settings }: Needs): Promise<AdminReply> {
  const subject = query.get('subject');
  const shown = await sessions.list(
    subject === null
      ? { kind: 'page', cursor: query.get('cursor') ?? undefined }
      : { kind: 'person', subject, issuer: query.get('issuer') ?? settings().issuer },
  );
  if (shown.kind === 'not-kept') return { status: 200, body: { kept: false, sessions: [] } };
  const { cursor } = shown;
  return {
    status: 200,
    body: { kept: true, sessions: shown.sessions.map(toJson), ...(cursor !== undefined && { cursor }) },
  };
}

function toJson({ handle, startedAt, seenAt, endsAt, ...rest }: ListedSession) {
  const moment = (at: number) => new Date(at).toISOString();
  return { session: handle, ...rest, startedAt: moment(startedAt), seenAt: moment(seenAt), endsAt: moment(endsAt) };
}

const NAMES: readonly string[] = ['session', 'sid', 'subject', 'issuer'];

/** Exactly one way to say what. */
function whatToRevoke(body: string, defaultIssuer: string): Revoked | undefined {
  const said = readObject(body);
  if (!said || Object.keys(said).some((name) => !NAMES.includes(name))) return undefined;
  const { session, sid, subject, issuer = defaultIssuer } = said;
  if ([session, sid, subject].filter((one) => one !== undefined).length !== 1 || !isName(issuer)) return undefined;
  if (session !== undefined) {
    const isHandle = typeof session === 'string' && /^[\w-]{16}$/.test(session);
    return isHandle ? { kind: 'session', handle: session } : undefined;
  }
  if (sid !== undefined) return isName(sid) ? { kind: 'provider-session', issuer, sid } : undefined;
  return isName(subject) ? { kind: 'person', issuer, subject } : undefined;
}

function readObject(
  body: string,
): { readonly [name in 'session' | 'sid' | 'subject' | 'issuer']?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    return { ...value };
  } catch {
    // Safe: what is no JSON asks for nothing, and is refused.
    return undefined;
  }
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= LONGEST_NAME;
}

function fail(status: number, code: string, message: string): AdminReply {
  return { status, body: { code, message } };
}

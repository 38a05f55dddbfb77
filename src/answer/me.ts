import type { Decision } from '../access/decision.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { Millis } from '../config/units.ts';
import type { Reply } from '../server/exchange.ts';
import { plainRefusal, refusalOf } from './refusal.ts';

/** Header bytes of a reply that nginx's default 4k buffer takes with room for the status line and its own fields. */
const maxHeaderBytes = 3_500;

/** What an allow is answered with besides the decision. */
export interface MeRequest {
  readonly now: Millis;
  /** What an outside cache may keep an allow for. */
  readonly outsideMs: Millis;
  /** An allow by `authorization` is kept by no outside cache: common cache keys lack that header. */
  readonly byAuthorization: boolean;
  /** Whole Set-Cookie value of the renewed session. */
  readonly setCookie?: string;
}

type Allow = Extract<Decision, { kind: 'allow' }>;

/** A reply, and what it does not say. */
export interface MeReply extends Reply {
  /** Names of identity headers that found no room. */
  readonly leftOut: readonly string[];
}

/**
 * `/me` for an allow: 200, who they are as JSON with flyteadmin's field names, and the identity headers for
 * `auth_request_set`. `X-Accel-Expires` stands first: before nginx 1.23 a `Cache-Control` in front of it wins.
 *
 * @param identityHeaders flat; left out from the end when the reply would outgrow nginx's buffer
 */
export function meAllowed(decision: Allow, identityHeaders: readonly string[], request: MeRequest): MeReply {
  const { identity } = decision;
  if (request.setCookie !== undefined) return compose(identity, identityHeaders, { keepS: 0, ...request });
  const keepS = request.byAuthorization ? 0 : secondsLeft(decision, request);
  const last = lastReplies.get(identity);
  if (last?.keepS === keepS && last.identityHeaders === identityHeaders) return last.reply;
  const reply = compose(identity, identityHeaders, { keepS });
  lastReplies.set(identity, { keepS, identityHeaders, reply });
  return reply;
}

/** The reply of an identity that asks again: within a second nearly always the same. */
const lastReplies = new WeakMap<
  Identity,
  { readonly keepS: number; readonly identityHeaders: readonly string[]; readonly reply: MeReply }
>();

/** What an outside cache may keep an allow for. */
function secondsLeft(decision: Allow, { outsideMs, now }: MeRequest): number {
  return Math.max(0, Math.floor(Math.min(outsideMs, decision.until - now) / 1000));
}

function compose(
  identity: Identity,
  identityHeaders: readonly string[],
  { keepS, setCookie }: { readonly keepS: number; readonly setCookie?: string },
): MeReply {
  const fields = ['X-Accel-Expires', String(keepS), ...fixedFields];
  let room = maxHeaderBytes - 250;
  if (setCookie !== undefined) {
    fields.push('Set-Cookie', setCookie);
    room -= setCookie.length;
  }
  const leftOut: string[] = [];
  for (let i = 0; i < identityHeaders.length; i += 2) {
    const name = identityHeaders[i] ?? '';
    const value = identityHeaders[i + 1] ?? '';
    room -= name.length + value.length + 4;
    if (room < 0) leftOut.push(name);
    else fields.push(name, value);
  }
  return { status: 200, fields, body: userInfo(identity), leftOut };
}

const fixedFields = [
  'Cache-Control',
  'private, no-store',
  'Content-Type',
  'application/json',
  'Referrer-Policy',
  'no-referrer',
];

/** `/me` for everything else: plain 401, 403 or 503, whatever protocol the request spoke of. */
export function meRefused(
  decision: Exclude<Decision, { kind: 'allow' }>,
  request: { readonly id: string; readonly setCookie?: string },
): Reply {
  const reply = plainRefusal(refusalOf(decision), request.id);
  return request.setCookie ? { ...reply, fields: [...reply.fields, 'Set-Cookie', request.setCookie] } : reply;
}

/**
 * flyteadmin's UserInfoResponse by its proto names, every field present; a string, because Node writes head and body in one
 * piece only then.
 */
function userInfo(identity: Identity): string {
  return JSON.stringify({
    subject: identity.subject,
    name: identity.name ?? '',
    preferred_username: identity.preferredUsername ?? '',
    given_name: identity.givenName ?? '',
    family_name: identity.familyName ?? '',
    email: identity.email ?? '',
    picture: identity.picture ?? '',
    additional_claims: identity.claims,
  });
}

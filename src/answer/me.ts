import { LRUCache } from 'lru-cache';
import type { Decision } from '../access/decision.ts';
import { RECENT_IDENTITIES } from '../access/identity-headers.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { Millis } from '../config/units.ts';
import type { Reply } from '../server/exchange.ts';
import { plainRefusal, refusalOf } from './refusal.ts';

/** Header bytes of a reply that nginx's default 4k buffer takes with room for the status line and its own fields. */
const maxHeaderBytes = 3_500;

export interface MeNeeds {
  /** Flat; left out from the end when the reply would outgrow nginx's buffer. */
  readonly identityHeaders: (identity: Identity) => readonly string[];
  /** What an outside cache may keep an allow for. */
  readonly outsideMs: Millis;
}

/** What an allow is answered with besides the decision. */
export interface MeRequest {
  readonly now: Millis;
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
 */
export function createMeAllowed(needs: MeNeeds): (decision: Allow, request: MeRequest) => MeReply {
  // The reply of an identity that asks again is nearly always the same.
  const lastReplies = new LRUCache<Identity, Composed>({ max: RECENT_IDENTITIES });
  return (decision, { now, byAuthorization, setCookie }) => {
    const { identity } = decision;
    if (setCookie !== undefined) return compose(identity, needs, { keepS: 0, setCookie });
    const leftMs = Math.min(needs.outsideMs, decision.until - now);
    const keepS = byAuthorization ? 0 : Math.max(0, Math.floor(leftMs / 1000));
    const last = lastReplies.get(identity);
    if (last?.keepS === keepS) return last;
    const reply = compose(identity, needs, { keepS });
    lastReplies.set(identity, reply);
    return reply;
  };
}

interface Composed extends MeReply {
  /** What an outside cache may keep it for. */
  readonly keepS: number;
}

function compose(
  identity: Identity,
  needs: MeNeeds,
  { keepS, setCookie }: { readonly keepS: number; readonly setCookie?: string },
): Composed {
  const fields = ['X-Accel-Expires', String(keepS), ...fixedFields];
  let room = maxHeaderBytes - 250;
  if (setCookie !== undefined) {
    fields.push('Set-Cookie', setCookie);
    room -= setCookie.length;
  }
  const leftOut: string[] = [];
  const identityHeaders = needs.identityHeaders(identity);
  for (let i = 0; i < identityHeaders.length; i += 2) {
    const name = identityHeaders[i] ?? '';
    const value = identityHeaders[i + 1] ?? '';
    room -= name.length + value.length + 4;
    if (room < 0) leftOut.push(name);
    else fields.push(name, value);
  }
  return {
    keepS,
    status: 200,
    fields,
    body: userInfo(identity),
    leftOut: leftOut.length > 0 ? leftOut : nothing,
  };
}

const nothing: readonly string[] = [];

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

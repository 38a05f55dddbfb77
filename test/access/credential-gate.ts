import type { Decision } from '../../src/access/decision.ts';
import { createDecisions } from '../../src/access/decisions.ts';
import { authenticated } from '../../src/access/policy.ts';
import { createAuthenticate } from '../../src/authenticate/authenticate.ts';
import { readCredential } from '../../src/authenticate/credential.ts';
import { createAuthenticateSession } from '../../src/authenticate/session-authenticate.ts';
import { Fields } from '../../src/server/request-head.ts';
import { createCookieStore } from '../../src/session/cookie-store.ts';
import { createRevocations } from '../../src/session/revocations.ts';
import { createSeal } from '../../src/session/seal.ts';
import { createCookies } from '../../src/session/session-cookie.ts';
import { createIssuer, createRecordedLog, tokenProof } from '../authenticate/fixtures.ts';
import { cookieKey, createTestClock, HOUR } from '../session/fixtures.ts';
import { createCounts } from './fixtures.ts';

/** Everything between a request's header fields and the decision about it, with real keys of an issuer. */
export async function createCredentialGate() {
  const issuer = await createIssuer();
  const clock = createTestClock();
  const seal = createSeal([cookieKey(1)]);
  const store = createCookieStore({ seal });
  const revocations = createRevocations({ now: clock.now, max: 100, maxOfPerson: 100, onFull: () => undefined });
  const { log, lines } = createRecordedLog();
  const cookies = createCookies({ sameSite: 'lax', secure: true });
  const identity = { trustUnverifiedEmail: false, claims: [] };
  const limits = { idleMs: 8 * HOUR, absoluteMs: 24 * HOUR };
  const renew = async () => ({ kind: 'refused' }) as const;
  const needs = { store, revocations, renew, limits, identity, log, now: clock.now };
  const decisions = createDecisions({
    authenticate: createAuthenticate({
      token: tokenProof(issuer, { log, now: clock.now }),
      session: createAuthenticateSession(needs),
    }),
    revocations,
    cache: { maxAgeMs: 60_000, maxEntries: 1000, maxBytes: 10_000_000 },
    metrics: createCounts().metrics,
    log,
    now: clock.now,
  });
  const names = { flyteHeaders: ['flyte-authorization'], sessionCookie: cookies.sessionName };
  const connection = {};
  /** What a request with these header fields (name, value …) comes to, and the status a plain caller would see. */
  const ask = async (
    ...raw: string[]
  ): Promise<{ readonly status: number; readonly decision: Decision | undefined }> => {
    const credential = readCredential(new Fields(raw), names);
    if (credential.kind === 'refused' && credential.status === 400) return { status: 400, decision: undefined };
    const decision = await decisions.decide(credential, authenticated, connection);
    return { status: STATUS[decision.kind], decision };
  };
  return { issuer, clock, seal, store, revocations, lines, cookies, ask };
}

const STATUS = { allow: 200, 'sign-in': 401, deny: 403, unavailable: 503 } as const;

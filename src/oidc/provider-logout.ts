import type { Log } from '../observe/log.ts';
import { readCookies } from '../server/cookie.ts';
import { handleOf } from '../session/marks.ts';
import type { Seal } from '../session/seal.ts';
import type { Session } from '../session/session.ts';
import type { Cookies } from '../session/session-cookie.ts';
import type { Client } from './client.ts';
import { fitsHead } from './head-room.ts';
import type { OidcRequest } from './outcome.ts';
import { troubleOf } from './trouble.ts';

/** In the background: a person does not wait for it, and the session has ended whatever comes of it. Never throws. */
export async function revokeAtProvider(
  session: Session,
  needs: { client: Client; latest: (session: Session) => Promise<Session>; log: Log },
): Promise<void> {
  const facts = { session: handleOf(session.id) };
  const { refreshToken } = await needs.latest(session);
  if (refreshToken === undefined || session.issuer !== needs.client.issuer) return;
  try {
    const isRevoked = await needs.client.revoke(refreshToken);
    needs.log.debug('logout.refresh_token_revoked', { ...facts, isRevoked });
  } catch (error) {
    const trouble = troubleOf(error);
    const cause = trouble.kind === 'unreachable' ? trouble.cause : undefined;
    needs.log.warn('logout.revocation_failed', { ...facts, why: trouble.kind, ...(cause ? { cause } : {}) });
  }
}

export interface ProviderLogoutNeeds {
  readonly client: Client;
  readonly seal: Seal;
  readonly cookies: Cookies;
  readonly publicUrl: string;
  readonly log: Log;
}

/** A sign-out that has ended the session here. */
export interface LoggingOut {
  readonly request: OidcRequest;
  readonly session: Session;
  readonly to: string | undefined;
  readonly cleared: readonly string[];
}

/** Where the provider ends its own session; undefined when it cannot or does not answer: the session here has ended anyway. */
export async function providerLogout(out: LoggingOut, needs: ProviderLogoutNeeds): Promise<string | undefined> {
  if (out.session.issuer !== needs.client.issuer) return undefined;
  const parameters = new URLSearchParams({ post_logout_redirect_uri: `${needs.publicUrl}/logout` });
  parameters.set('state', await needs.seal.seal('logout-state', out.to === undefined ? {} : { r: out.to }));
  parameters.set('logout_hint', out.session.claims.sub);
  try {
    const hintless = await needs.client.endSessionUrl(parameters);
    const hint = await idTokenOf(out, needs);
    if (hintless === undefined || hint === undefined) return hintless;
    parameters.delete('logout_hint');
    parameters.set('id_token_hint', hint);
    const hinted = await needs.client.endSessionUrl(parameters);
    return hinted !== undefined && fitsHead(out.cleared, hinted) ? hinted : hintless;
  } catch (error) {
    const trouble = troubleOf(error);
    needs.log.warn('logout.provider_failed', { ...(trouble.kind === 'unreachable' ? { cause: trouble.cause } : {}) });
    return undefined;
  }
}

async function idTokenOf(out: LoggingOut, needs: ProviderLogoutNeeds): Promise<string | undefined> {
  const [value, second] = readCookies(out.request.cookies, needs.cookies.idTokenName);
  if (value === undefined || second !== undefined) return undefined;
  const { s: sessionId, t: token } = (await needs.seal.open('id-token', value)) ?? {};
  return sessionId === out.session.id && typeof token === 'string' ? token : undefined;
}

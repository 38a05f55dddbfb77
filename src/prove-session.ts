import type { Authentication } from './authenticate/authenticate.ts';
import { createAuthenticateSession, type SessionNeeds } from './authenticate/session-authenticate.ts';
import type { UnderWay } from './forward/under-way.ts';
import type { Renewer } from './oidc/renew.ts';
import type { SignInLoop } from './oidc/sign-in-loop.ts';
import { marksOf } from './session/marks.ts';

/**
 * Proves sessions, and tells those who have to know: whoever carries one is in no sign-in loop, and what it opened goes on
 * with it, or ends where the provider refuses to renew it.
 */
export function createProveSession(
  needs: Omit<SessionNeeds, 'renew'> & {
    readonly renewer: Pick<Renewer, 'renew'>;
    readonly loop: Pick<SignInLoop, 'seen'>;
    readonly underWay: UnderWay;
  },
): (cookie: string) => Promise<Authentication> {
  const { renewer, loop, underWay } = needs;
  const prove = createAuthenticateSession({
    ...needs,
    renew: async (session) => {
      const renewal = await renewer.renew(session);
      if (renewal.kind === 'refused') underWay.over(marksOf(session));
      return renewal;
    },
  });
  return async (cookie) => {
    const proof = await prove(cookie);
    if (proof.kind !== 'proven') return proof;
    const { session } = proof.identity;
    if (session) loop.seen(session);
    underWay.seen(proof.identity);
    return proof;
  };
}

import type { Identity } from '../authenticate/identity.ts';

/** What a place asks of whoever comes. */
export interface Rule {
  /** Tells rules apart in the decision cache; no two rules share one. */
  readonly name: string;
  /** The scope that a bearer token must have. A person's session needs none: signing in is what it proves. */
  readonly bearerScope: string;
}

/** Anybody who proved who they are; a bearer token with Flyte's scope `all`. */
export const authenticated: Rule = { name: 'authenticated', bearerScope: 'all' };

export type Verdict =
  | { readonly kind: 'allow' }
  | { readonly kind: 'deny'; readonly why: 'scope_missing'; readonly missing: string };

/** Judges an identity by a rule; pure. */
export function judge(identity: Identity, rule: Rule): Verdict {
  const isSession = identity.session !== undefined;
  if (isSession || identity.scopes.includes(rule.bearerScope)) return { kind: 'allow' };
  return { kind: 'deny', why: 'scope_missing', missing: rule.bearerScope };
}

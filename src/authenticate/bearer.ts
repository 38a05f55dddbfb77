import type { Log } from '../observe/log.ts';
import { type ApiKey, readBearerForm } from './api-key.ts';
import type { AuthenticateBearer, Authentication } from './authenticate.ts';
import { readTokenForm } from './token-form.ts';
import { rejectToken } from './token-proof.ts';

/** Proves a JWT with the keys of one issuer. */
export type ProveJwt = (token: string) => Promise<Authentication>;

export interface BearerNeeds {
  readonly jwt: ProveJwt;
  /** Absent: opaque tokens are refused. */
  readonly opaque?: AuthenticateBearer;
  /** Makes the proof of API keys from the proof of the tokens that they are exchanged for; absent: API keys are refused. */
  readonly apiKey?: (
    prove: AuthenticateBearer,
  ) => (key: ApiKey, token: string, address: string) => Promise<Authentication>;
  /** Whether a host, in lower case and without port, is one of ours. */
  readonly isOurHost: (host: string) => boolean;
  readonly log: Log;
}

/**
 * Proves a bearer token by its form: a JWT by signature only, an opaque token by its issuer's word, an API key by exchange.
 * What is meant as an API key goes to no introspection, whether or not keys are accepted: there is a secret in it.
 */
export function createAuthenticateBearer(needs: BearerNeeds): AuthenticateBearer {
  const refuse = async () => rejectToken(needs.log, { why: 'token_malformed', because: 'form' });
  const { opaque = refuse } = needs;
  const apiKey = needs.apiKey?.((token, address) =>
    // What came of an exchange is a token, never another key.
    readBearerForm(token, needs.isOurHost).kind === 'opaque' ? opaque(token, address) : needs.jwt(token),
  );
  return async (token, address) => {
    const form = readBearerForm(token, needs.isOurHost);
    switch (form.kind) {
      case 'jwt':
        return needs.jwt(token);
      case 'opaque':
        return opaque(token, address);
      case 'malformed-key':
        return refuse();
      case 'api-key':
        return apiKey ? apiKey(form.key, token, address) : refuse();
    }
  };
}

/**
 * Sends each JWT to the issuer that it names, exactly, to be proved with that issuer's keys and no others. What names none
 * of the others is the first one's to judge, so that an outage of one touches its own tokens only.
 */
export function createProveByIssuer(first: ProveJwt, others: ReadonlyMap<string, ProveJwt>): ProveJwt {
  if (others.size === 0) return first;
  return (token) => {
    const named = readTokenForm(token)?.claims['iss'];
    const prove = typeof named === 'string' ? others.get(named) : undefined;
    return (prove ?? first)(token);
  };
}

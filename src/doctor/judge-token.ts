import { judge as judgeByRule, type Rule } from '../access/policy.ts';
import type { Identity } from '../authenticate/identity.ts';
import type { TokenFault } from '../authenticate/token-claims.ts';
import type { Granted } from '../oidc/client-credentials.ts';
import { type Finding, ok, problem, unknown, warning } from './finding.ts';
import { list } from './judge-settings.ts';

/** A service app, and where its secret stands. */
export interface AppAsked {
  readonly clientId: string;
  /** The setting or option that names the secret's file. */
  readonly secretIn: string;
  readonly scopes: readonly string[];
}

/** Whether the provider gives a service app a token. */
export function judgeGrant(granted: Granted, { clientId, secretIn, scopes }: AppAsked): Finding {
  switch (granted.kind) {
    case 'token':
      return ok('service-app', `${clientId} gets a token by client credentials`);
    case 'unavailable':
      return unknown(
        'service-app',
        `the token endpoint was not to be asked: ${granted.cause.message}`,
        'try again later',
      );
    case 'refused':
      return problem(
        'service-app',
        `the provider refuses ${clientId}: ${granted.error}`,
        remedyOfGrant(granted.error, { secretIn, scopes }),
      );
  }
}

function remedyOfGrant(error: string, { secretIn, scopes }: Pick<AppAsked, 'secretIn' | 'scopes'>): string {
  switch (error) {
    case 'invalid_client':
    case 'unknown':
      return `compare the client id, and the secret in ${secretIn}, with the app at the provider: one of them is another app's, or out of date`;
    case 'unauthorized_client':
    case 'unsupported_grant_type':
      return 'turn the grant type client_credentials on for this app';
    case 'invalid_scope':
      return `make the scope ${scopes.join(' ')} at the provider and allow it for this app`;
    case 'access_denied':
      return "put this app into the authorization server's access policy, or name the audience it may ask for (serviceApp.audience)";
    case 'invalid_target':
    case 'invalid_request':
      return 'the provider wants to hear for whom the token is: set serviceApp.audience';
    default:
      return 'read what the provider logs about it';
  }
}

/** Why a token was refused, as the log has it. */
export type Rejection = Pick<TokenFault, 'why' | 'because'> & { readonly found?: unknown };

/** What makes a token that came of client credentials no good here. @param accepted audiences */
export function judgeRejection(
  rejection: Rejection,
  of: { clientId: string; issuer: string; accepted: readonly string[] },
): Finding {
  const { because, why, found } = rejection;
  const said = typeof found === 'string' ? found : JSON.stringify(found ?? null);
  const token = `the token of ${of.clientId}`;
  const no = (says: string, remedy: string) => problem('service-token', `${token} ${says}`, remedy);
  switch (because) {
    case 'aud':
      return no(
        `is for ${said}, and accepted are ${list(of.accepted)}`,
        'put what stands in aud into auth.appAuth.externalAuthServer.allowedAudience, or have the provider say one of ours',
      );
    case 'iss':
      return no(
        `names the issuer ${said}, not ${of.issuer}`,
        'write that issuer, to the letter, into auth.appAuth.externalAuthServer.baseUrl, or into auth.additionalIssuers',
      );
    case 'kid':
    case 'signature':
      return no(
        `is not signed by a key that ${of.issuer} publishes`,
        'see that the token endpoint and the issuer are one authorization server, not two of the same provider',
      );
    case 'exp':
    case 'nbf':
    case 'iat':
      return no(`is dead or not alive yet by this clock (${because})`, 'have both machines follow a time server (NTP)');
    case 'form':
      return no(
        'is no JWT, and opaque tokens are refused',
        'have the provider issue JWTs for an audience (serviceApp.audience; Okta: a custom authorization server), or set auth.introspection',
      );
    case 'cnf':
      return no(
        'is bound to a key, which Flyte’s clients cannot show',
        'turn proof of possession (DPoP, mutual TLS) off for this app',
      );
    case 'sub':
      return no('names nobody', 'have the provider put sub or a mark of client credentials into it');
    case 'scope':
      return no('has scopes of no known form', 'have the provider write scope or scp as text or a list');
    default:
      return no(`is refused for its ${because} (${why})`, 'compare it with an access token of the native app');
  }
}

/** Whether an app that proved who it is may do anything here. @param rule what is asked of tokens of its issuer */
export function judgeApp(identity: Identity, rule: Rule): Finding {
  const { subject, scopes, kind, issuer } = identity;
  const verdict = judgeByRule(identity, rule);
  if (verdict.kind === 'deny')
    return problem(
      'service-token',
      `the token of ${subject} has the scopes ${list(scopes) || '(none)'}, and lacks ${verdict.missing}`,
      `make the scope ${verdict.missing} at ${issuer}, allow it for this app, and ask for it`,
    );
  if (kind === 'person')
    return warning(
      'service-token',
      `the token of ${subject} is accepted, but looks like a person's`,
      'a subject that is the client id, or the claim gty, tells an app',
    );
  return ok('service-token', `accepted here as ${subject} of ${issuer}, with ${list(scopes)}`);
}

/** Whether an app whose token is accepted by the settings is let in where it calls, too. @param status of `/me` with its token */
export function judgeCall(status: number, of: { publicUrl: string; header: string }): Finding {
  const { publicUrl, header } = of;
  if (status === 200) return ok('service-call', `let in at ${publicUrl} by ${header}`);
  if (status === 401 || status === 403)
    return problem(
      'service-call',
      `these settings accept the token, and ${publicUrl}/me answers ${status} to it`,
      `what stands in front drops ${header} or takes another host along; or the gateway there runs with other settings: restart it`,
    );
  return unknown('service-call', `${publicUrl}/me answers ${status}`, 'see public-url');
}

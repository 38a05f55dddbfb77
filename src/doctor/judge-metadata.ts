import type { Config } from '../config/config.ts';
import type { ProviderMetadata } from '../oidc/provider.ts';
import { type Finding, ok, problem, unknown, warning } from './finding.ts';
import { list } from './judge-settings.ts';

/**
 * Why an issuer's metadata could not be used.
 *
 * @param named   the issuer that a document at the place names, if one could be read
 * @param setting that has the issuer
 */
export function judgeIssuer(of: { issuer: string; named: string | undefined; setting: string; why: string }): Finding {
  const { issuer, named, setting, why } = of;
  if (named === undefined || named === issuer)
    return problem(
      'metadata',
      `${issuer} does not answer as an issuer should: ${why}`,
      `open ${issuer.replace(/\/$/, '')}/.well-known/openid-configuration from this machine: a firewall, auth.httpProxyURL, auth.caFile or ${setting} is in the way`,
    );
  const isSlash = named.replace(/\/$/, '') === issuer.replace(/\/$/, '');
  return problem(
    'metadata',
    `the issuer calls itself ${named}, the settings ${issuer}${isSlash ? ': the slash at the end counts' : ''}`,
    isSlash
      ? `write ${setting}: ${named}`
      : `write ${setting}: ${named}, or issuerUrl where it is reached by another address`,
  );
}

/** Whether an issuer that people sign in at offers what that takes. */
export function judgeMetadata(metadata: ProviderMetadata): readonly Finding[] {
  const { issuer, code_challenge_methods_supported: challenges } = metadata;
  const missing = (['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const).filter(
    (name) => metadata[name] === undefined,
  );
  if (missing.length > 0)
    return [problem('metadata', `${issuer} names no ${list(missing)}`, 'this is no issuer that people can sign in at')];
  if (Array.isArray(challenges) && !challenges.includes('S256'))
    return [
      problem('metadata', `${issuer} does not offer PKCE with S256`, 'turn it on for the web and the native app'),
    ];
  const device = metadata['device_authorization_endpoint'] === undefined ? '; no device flow' : '';
  return [ok('metadata', `${issuer} answers by exactly this name${device}`)];
}

/** Whether the issuer of access tokens can be asked about opaque ones, where the settings want that. */
export function judgeIntrospection({ auth }: Config, metadata: ProviderMetadata): readonly Finding[] {
  if (auth.introspection === undefined || metadata.introspection_endpoint !== undefined) return [];
  return [
    problem(
      'metadata',
      `${metadata.issuer} names no introspection_endpoint, and auth.introspection wants one: no opaque token gets in`,
      'have it issue JWTs, and leave auth.introspection out',
    ),
  ];
}

/** What the SDK asks for and every access token must have. */
const FLYTE_SCOPE = 'all';

/**
 * Whether the scopes that are asked for are offered. Issuers need not list all that they have (RFC 8414 §2), so what is
 * missing there is no proof.
 */
export function judgeScopes(
  { auth }: Config,
  of: { people: ProviderMetadata; tokens: ProviderMetadata },
): readonly Finding[] {
  const found: Finding[] = [];
  const web = auth.userAuth.openId.scopes;
  const sdk = auth.appAuth.thirdPartyConfig.flyteClient.scopes;
  if (!sdk.includes(FLYTE_SCOPE))
    found.push(
      problem(
        'scopes',
        `the SDK is told to ask for ${list(sdk) || 'nothing'}, and a token without ${FLYTE_SCOPE} is refused`,
        `add ${FLYTE_SCOPE} to auth.appAuth.thirdPartyConfig.flyteClient.scopes`,
      ),
    );
  if (!web.includes('offline_access'))
    found.push(
      warning(
        'scopes',
        'openId.scopes has no offline_access: without a refresh token people sign in again whenever their access token dies',
        'add it, unless the provider gives refresh tokens without',
      ),
    );
  found.push(...lacking(of.tokens, sdk), ...lacking(of.people, web));
  return found.length > 0 ? found : [ok('scopes', `${list([...new Set([...sdk, ...web])])} are offered`)];
}

function lacking(
  { issuer, scopes_supported: offered }: ProviderMetadata,
  asked: readonly string[],
): readonly Finding[] {
  if (!Array.isArray(offered))
    return [
      unknown('scopes', `${issuer} does not say which scopes it offers`, `see to it that it has ${list(asked)} there`),
    ];
  const missing = asked.filter((scope) => !offered.includes(scope));
  if (missing.length === 0) return [];
  return [
    warning(
      'scopes',
      `${issuer} does not list ${list(missing)} among its scopes`,
      'make it there, for all three apps; fine where it has it and only does not publish it',
    ),
  ];
}

/** Seconds of difference that are nobody's business; what is forgiven is {@link FORGIVEN_S}. */
const NOTEWORTHY_S = 10;
const FORGIVEN_S = 60;

/**
 * How far this clock is from the issuer's.
 *
 * @param date  the issuer's `Date` field, which has whole seconds
 * @param asked the question left here, and its answer came; milliseconds since the epoch
 */
export function judgeClock(
  date: string | undefined,
  asked: { readonly sentAt: number; readonly answeredAt: number },
): Finding {
  const there = Date.parse(date ?? '');
  if (Number.isNaN(there))
    return unknown('clock', 'the issuer does not say what time it is', 'compare this clock with another by hand');
  // Within the round trip and the second that the field leaves out, nothing is off.
  const early = Math.max(0, asked.sentAt - (there + 1000));
  const late = Math.max(0, there - asked.answeredAt);
  const apartS = Math.round(Math.max(early, late) / 1000);
  const how = `this clock is ${apartS} s ${early > late ? 'ahead of' : 'behind'} the issuer's`;
  if (apartS > FORGIVEN_S)
    return problem('clock', `${how}: ${FORGIVEN_S} s are forgiven`, 'have both machines follow a time server (NTP)');
  if (apartS > NOTEWORTHY_S) return warning('clock', how, 'have both machines follow a time server (NTP)');
  return ok('clock', apartS === 0 ? "this clock and the issuer's agree" : how);
}

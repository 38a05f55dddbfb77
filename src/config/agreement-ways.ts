import type { Mistake, Path } from './mistake.ts';
import type { SettingsDraft } from './schema.ts';
import { isLoopback } from './urls.ts';

/** What is wrong between the settings of introspection and of further issuers, and with those that stand elsewhere. */
export function checkWays(draft: SettingsDraft): readonly Mistake[] {
  return [...checkIntrospection(draft), ...checkIssuers(draft)];
}

function* checkIntrospection({ auth }: SettingsDraft): Iterable<Mistake> {
  const { clientId, clientSecretFile } = auth.introspection;
  if (Boolean(clientId) === Boolean(clientSecretFile)) return;
  const missing = clientId ? 'clientSecretFile' : 'clientId';
  yield {
    path: ['auth', 'introspection', missing],
    expected: 'clientId and clientSecretFile together, or neither',
    found: 'nothing',
  };
}

function* checkIssuers({ auth }: SettingsDraft): Iterable<Mistake> {
  const { openId } = auth.userAuth;
  const seen = new Set([openId.baseUrl, openId.issuerUrl, auth.appAuth.externalAuthServer.baseUrl]);
  for (const [at, { issuer, ...urls }] of auth.additionalIssuers.entries()) {
    const path = ['auth', 'additionalIssuers', at];
    if (issuer !== undefined && seen.has(issuer))
      yield { path: [...path, 'issuer'], expected: 'an issuer that stands nowhere else', found: issuer };
    seen.add(issuer);
    if (urls.jwksUrl !== undefined && urls.metadataUrl !== undefined)
      yield { path: [...path, 'metadataUrl'], expected: 'jwksUrl or metadataUrl, not both', found: urls.metadataUrl };
    if (auth.allowHttpIssuer === false) yield* checkSchemes(path, { issuer, ...urls });
  }
}

function* checkSchemes(
  path: Path,
  {
    issuer,
    jwksUrl,
    metadataUrl,
  }: { issuer: string | undefined; jwksUrl: string | undefined; metadataUrl: string | undefined },
): Iterable<Mistake> {
  // An issuer whose keys or metadata are elsewhere is a name: nobody dials it.
  const dialled = jwksUrl ? { jwksUrl } : metadataUrl ? { metadataUrl } : { issuer };
  for (const [key, url] of Object.entries(dialled)) {
    if (!url || !/^http:/i.test(url) || isLoopback(new URL(url).hostname)) continue;
    const hint =
      'whoever controls the network would then say who is who; to accept that, set auth.allowHttpIssuer: true';
    yield { path: [...path, key], expected: 'https:, or http: on a loopback host', found: url, hint };
  }
}

import { audiencesOf } from '../authenticate/token-proof.ts';
import type { Config } from '../config/config.ts';
import type { Loaded } from '../config/load.ts';
import { Secret } from '../config/secret.ts';
import type { SecretPlace } from '../config/secret-places.ts';
import type { Clock, Millis } from '../config/units.ts';
import { createOutbound, type Outbound } from '../oidc/outbound.ts';
import { checkCertificate } from './certificate.ts';
import { shortly } from './error-code.ts';
import { type CheckName, checks, type Finding, ok, unknown } from './finding.ts';
import { checkFront } from './front.ts';
import { checkKeys, type IssuerPlace, meetIssuer } from './issuer.ts';
import { judgeIntrospection, judgeMetadata, judgeScopes } from './judge-metadata.ts';
import {
  judgeAppHosts,
  judgeAudience,
  judgeCookies,
  judgeCredentialHeader,
  judgeMistakes,
  judgePublicUrl,
} from './judge-settings.ts';
import { checkRedis } from './redis.ts';
import { checkNativeApp, checkWebApp } from './registration.ts';
import { checkSecretFiles, judgeSecretFile, look } from './secret-files.ts';
import { type AppToTry, checkServiceApp } from './service-app.ts';
import { checkUpstreams } from './upstreams.ts';

/** A service app besides that of the settings: propeller's, an operator's, the scheduler's, CI's. */
export interface OtherApp {
  readonly clientId: string;
  readonly secretFile: string;
}

/** What has to hold for a whole check; each answer within has a deadline of its own. */
const CHECK_MS: Millis = 30_000;
/** For one answer; the settings may want less. */
const ANSWER_MS: Millis = 5000;

/**
 * Looks at everything that an operator gets wrong: settings, secrets, provider, what stands in front and what stands behind.
 * Changes nothing anywhere, and waits for {@link CHECK_MS} at most for each check. Never throws.
 *
 * @param loaded what became of the settings file; with mistakes in it nothing else can be looked at
 */
export async function examine(loaded: Loaded, needs: { now: Clock; app?: OtherApp }): Promise<readonly Finding[]> {
  if (loaded.kind === 'mistakes') return judgeMistakes(loaded.mistakes);
  const { config, secretPlaces } = loaded;
  const timeoutMs = Math.min(config.auth.timeoutMs, ANSWER_MS);
  const { httpProxyURL, caFile, allowHttpIssuer } = config.auth;
  const trust = caFile === undefined ? {} : { caFile };
  const proxy = httpProxyURL === undefined ? {} : { httpProxyURL };
  const outbound = createOutbound({ timeoutMs, allowHttp: allowHttpIssuer, ...trust, ...proxy });
  // The public URL is neither reached by the proxy for providers, nor held to their rule about http.
  const direct = createOutbound({ timeoutMs, allowHttp: true, ...trust });
  const asking = { config, outbound, now: needs.now };
  const other = needs.app ? { app: needs.app } : {};
  const parts = await Promise.all([
    Promise.resolve([ok('settings', 'the settings file can be used')]),
    within('secret-files', () => checkSecretFiles(secretPlaces)),
    Promise.resolve([
      ...[...judgePublicUrl(config), ...judgeCookies(config)],
      ...[judgeAppHosts(config), judgeCredentialHeader(config)],
    ]),
    within('public-url', () => checkFront({ config, outbound: direct })),
    within('certificate', async () => [await checkCertificate({ config, now: needs.now, timeoutMs })]),
    within('metadata', () => checkIssuers(asking)),
    within('service-app', () => checkApps({ ...asking, direct, ...other })),
    within('upstream', () => checkUpstreams({ config, now: needs.now, timeoutMs })),
    within('redis', () => checkRedis(config.redis, { timeoutMs })),
  ]);
  await Promise.all([outbound.close(), direct.close()]);
  return inOrder(parts.flat().map(byProof(parts.flat())));
}

/** What a real token proved is no longer unknown. */
function byProof(found: readonly Finding[]): (finding: Finding) => Finding {
  const isProved = found.some(({ check, verdict }) => check === 'service-token' && verdict === 'ok');
  return (finding) =>
    isProved && finding.check === 'audience' && finding.verdict === 'unknown'
      ? ok('audience', 'the token of the service app names one that is accepted')
      : finding;
}

/** In the order of the list of checks, which is the one to read and to mend in. */
function inOrder(found: readonly Finding[]): readonly Finding[] {
  const places = new Map(Object.keys(checks).map((name, at) => [name, at]));
  return found.toSorted((a, b) => (places.get(a.check) ?? 0) - (places.get(b.check) ?? 0));
}

/** A part of the examination that does not come to an end, or has a mistake, is itself something that could not be told. */
async function within(check: CheckName, run: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  const late = Promise.withResolvers<readonly Finding[]>();
  const timer = setTimeout(
    () => late.resolve([unknown(check, `no end after ${CHECK_MS / 1000} s`, 'look at what it speaks to')]),
    CHECK_MS,
  );
  try {
    return await Promise.race([run(), late.promise]);
  } catch (error) {
    return [unknown(check, `it could not be looked at: ${shortly(error)}`, 'report this: no check should fail')];
  } finally {
    clearTimeout(timer);
  }
}

interface Asking {
  readonly config: Config;
  readonly outbound: Outbound;
  readonly now: Clock;
}

/** The issuers of sign-ins, of access tokens, and the further ones. */
async function checkIssuers(asking: Asking): Promise<readonly Finding[]> {
  const { config, outbound } = asking;
  const { people, tokens } = issuersOf(config);
  const [met, others] = await Promise.all([meetIssuer(people, asking), checkFurther(asking)]);
  const metTokens = tokens === people ? met : await meetIssuer(tokens, asking);
  const audiences = audiencesOf({ ...config.auth, ...config.auth.appAuth.externalAuthServer });
  const found: Finding[] = [judgeAudience(config, audiences), ...others];
  if (met.kind === 'not-met') found.push(met.finding);
  else {
    const keys = tokens === people ? checkKeys(met.metadata, asking) : [];
    found.push(
      ...judgeMetadata(met.metadata),
      ...(await keys),
      ...(await checkWebApp(met.metadata, { config, outbound })),
    );
  }
  if (metTokens.kind === 'met') {
    if (tokens !== people)
      found.push(...judgeMetadata(metTokens.metadata), ...(await checkKeys(metTokens.metadata, asking)));
    found.push(
      ...judgeIntrospection(config, metTokens.metadata),
      await checkNativeApp(metTokens.metadata, { config, outbound }),
    );
  } else if (tokens !== people) found.push(metTokens.finding);
  if (met.kind === 'met' && metTokens.kind === 'met')
    found.push(...judgeScopes(config, { people: met.metadata, tokens: metTokens.metadata }));
  return [...found, ...notLookedAt(found)];
}

/** Without the issuer's metadata there is nothing to ask these at: said, not left out. */
function notLookedAt(found: readonly Finding[]): readonly Finding[] {
  const names: readonly CheckName[] = ['keys', 'clock', 'redirect-uri', 'sdk-redirect-uri', 'sign-out-uri', 'scopes'];
  const seen = new Set(found.map(({ check }) => check));
  return names
    .filter((name) => !seen.has(name))
    .map((name) => unknown(name, 'the issuer did not answer', 'see metadata'));
}

function issuersOf({ auth }: Config): { people: IssuerPlace; tokens: IssuerPlace } {
  const { baseUrl, issuerUrl } = auth.userAuth.openId;
  const setting = issuerUrl === undefined ? 'auth.userAuth.openId.baseUrl' : 'auth.userAuth.openId.issuerUrl';
  const people = { baseUrl, issuer: issuerUrl ?? baseUrl, setting };
  const external = auth.appAuth.externalAuthServer;
  if (external.baseUrl === baseUrl && external.metadataUrl === undefined) return { people, tokens: people };
  const { metadataUrl } = external;
  const place = {
    baseUrl: external.baseUrl,
    issuer: external.baseUrl,
    ...(metadataUrl !== undefined && { metadataUrl }),
  };
  return { people, tokens: { ...place, setting: 'auth.appAuth.externalAuthServer.baseUrl' } };
}

async function checkFurther(asking: Asking): Promise<readonly Finding[]> {
  const found = asking.config.auth.additionalIssuers.map(async ({ issuer, jwksUrl, metadataUrl }, at) => {
    if (jwksUrl !== undefined) return checkKeys({ issuer, jwks_uri: jwksUrl }, asking);
    const place = { baseUrl: issuer, issuer, setting: `auth.additionalIssuers[${at}].issuer` };
    const met = await meetIssuer({ ...place, ...(metadataUrl !== undefined && { metadataUrl }) }, asking);
    return met.kind === 'not-met' ? [met.finding] : checkKeys(met.metadata, asking);
  });
  return (await Promise.all(found)).flat();
}

async function checkApps(asking: Asking & { direct: Outbound; app?: OtherApp }): Promise<readonly Finding[]> {
  const { config, app } = asking;
  const own = config.serviceApp;
  const tries: AppToTry[] = own ? [{ ...own, secretIn: 'serviceApp.clientSecretFile' }] : [];
  const found: Finding[] = [];
  if (app) {
    const place: SecretPlace = { kind: 'client-secret', setting: '--secret-file', file: app.secretFile };
    const file = await look(place);
    const fault = judgeSecretFile(file);
    if (fault) found.push(fault);
    if ('text' in file.content && file.content.text.trim() !== '') tries.push(otherApp(app, file.content.text, config));
  }
  if (tries.length === 0 && found.length === 0)
    return (['service-app', 'service-token', 'service-call'] as const).map((check) =>
      unknown(
        check,
        'no service app to try',
        'give --client-id and --secret-file of the one that propeller, the operator or the scheduler uses',
      ),
    );
  for (const one of tries) found.push(...(await checkServiceApp(one, asking)));
  return found;
}

/** Asks as Flyte's own services do: for the scopes that they find out, at the endpoint of the metadata. */
function otherApp({ clientId, secretFile }: OtherApp, text: string, config: Config): AppToTry {
  const { scopes, audience } = config.auth.appAuth.thirdPartyConfig.flyteClient;
  const wanted = scopes.filter((scope) => scope !== 'openid' && !scope.startsWith('offline'));
  const clientSecret = new Secret(text.replace(/\r?\n$/, ''));
  return { clientId, clientSecret, secretIn: secretFile, scopes: wanted, ...(audience !== undefined && { audience }) };
}

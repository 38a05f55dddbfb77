import { authenticated } from '../access/policy.ts';
import { audiencesOf } from '../authenticate/token-proof.ts';
import type { Config } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import type { Clock } from '../config/units.ts';
import type { Facts, Log } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import { createClientCredentials } from '../oidc/client-credentials.ts';
import type { Outbound } from '../oidc/outbound.ts';
import { createProvider } from '../oidc/provider.ts';
import { createAdditionalIssuers, createWaysIn } from '../ways-in.ts';
import { type Finding, problem, unknown } from './finding.ts';
import { judgeApp, judgeGrant, judgeRejection, type Rejection } from './judge-token.ts';

/** A service app to try: that of the settings, or of propeller, an operator, CI … */
export interface AppToTry {
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly secretIn: string;
  readonly scopes: readonly string[];
  readonly tokenUrl?: string;
  readonly audience?: string;
}

interface Needs {
  readonly config: Config;
  readonly outbound: Outbound;
  readonly now: Clock;
}

/** Gets a token as a service app does, and proves it as the gateway would, by every rule of these settings. Never throws. */
export async function checkServiceApp(app: AppToTry, needs: Needs): Promise<readonly Finding[]> {
  const { config, outbound, now } = needs;
  const { rejections, log } = listen();
  const asking = { outbound, log, now, retryAttempts: 1, retryDelayMs: 0 };
  const { baseUrl, metadataUrl } = config.auth.appAuth.externalAuthServer;
  const issuer = config.auth.userAuth.openId;
  const isPeoplesToo = baseUrl === issuer.baseUrl && metadataUrl === undefined;
  const named = isPeoplesToo && issuer.issuerUrl ? { issuerUrl: issuer.issuerUrl } : {};
  const authorizationServer = createProvider({ ...asking, ...named, baseUrl, ...(metadataUrl && { metadataUrl }) });
  const { tokenUrl } = app;
  // The token endpoint alone is another where the settings name one.
  const metadata = async () => ({ issuer: authorizationServer.issuer, token_endpoint: tokenUrl ?? '' });
  const provider = tokenUrl === undefined ? authorizationServer : { ...authorizationServer, metadata };
  const optional = app.audience === undefined ? {} : { audience: app.audience };
  const obtain = createClientCredentials({ provider, outbound, scopes: app.scopes, now, ...optional });
  const granted = await obtain(app.clientId, app.clientSecret);
  const got = judgeGrant(granted, app);
  if (granted.kind !== 'token')
    return [got, unknown('service-token', 'there is no token to look at', 'put service-app right first')];
  const additionalIssuers = createAdditionalIssuers(config.auth.additionalIssuers, asking);
  const metrics = createMetrics();
  const prove = createWaysIn({ config, authorizationServer, additionalIssuers, outbound, metrics, log, now });
  try {
    const proof = await prove(granted.accessToken.reveal(), '');
    if (proof.kind === 'unavailable')
      return [got, unknown('service-token', `it could not be proved: ${proof.cause.message}`, 'see keys and metadata')];
    if (proof.kind === 'proven') return [got, judgeApp(proof.identity, ruleFor(proof.identity.issuer, config))];
    const accepted = [...audiencesOf({ ...config.auth, ...config.auth.appAuth.externalAuthServer })];
    const of = { clientId: app.clientId, issuer: authorizationServer.issuer, accepted };
    const [rejection] = rejections;
    return [
      got,
      rejection ? judgeRejection(rejection, of) : problem('service-token', `refused: ${proof.why}`, 'ask its issuer'),
    ];
  } finally {
    metrics.stop();
  }
}

function ruleFor(issuer: string, { auth }: Config) {
  const further = auth.additionalIssuers.find((one) => one.issuer === issuer);
  return further ? { ...authenticated, bearerScope: further.requiredScope } : authenticated;
}

/** A log that keeps why tokens were refused, and nothing else. */
function listen(): { readonly rejections: readonly Rejection[]; readonly log: Log } {
  const rejections: Rejection[] = [];
  const hear = (event: string, facts: Facts = {}) => {
    const { why, because, found } = facts;
    if (event === 'token.rejected' && isReason(why) && typeof because === 'string')
      rejections.push({ why, because, found });
  };
  return { rejections, log: { debug: hear, info: hear, warn: hear, error: hear } };
}

function isReason(why: unknown): why is Rejection['why'] {
  return why === 'token_malformed' || why === 'token_untrusted' || why === 'token_expired';
}

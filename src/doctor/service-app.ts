import { authenticated } from '../access/policy.ts';
import { audiencesOf } from '../authenticate/token-proof.ts';
import type { Config } from '../config/config.ts';
import type { Secret } from '../config/secret.ts';
import type { Clock } from '../config/units.ts';
import { isLoopback } from '../config/urls.ts';
import type { Facts, Log } from '../observe/log.ts';
import { createMetrics } from '../observe/metrics.ts';
import { createClientCredentials, type Granted } from '../oidc/client-credentials.ts';
import type { Outbound } from '../oidc/outbound.ts';
import { createProvider, type Provider } from '../oidc/provider.ts';
import { metadataWith } from '../oidc/token-endpoint.ts';
import { createAdditionalIssuers, createWaysIn } from '../ways-in.ts';
import { shortly } from './error-code.ts';
import { type CheckName, type Finding, unknown } from './finding.ts';
import { judgeApp, judgeCall, judgeGrant, judgeRejection, type Rejection } from './judge-token.ts';

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
  /** To the provider. */
  readonly outbound: Outbound;
  /** To the public URL. */
  readonly direct: Outbound;
  readonly now: Clock;
}

/**
 * Gets a token as a service app does, proves it as the gateway would, by every rule of these settings, and calls `/me` at the
 * public URL with it. Never throws.
 */
export async function checkServiceApp(app: AppToTry, needs: Needs): Promise<readonly Finding[]> {
  const { config, outbound, now } = needs;
  const { rejections, log } = listen();
  const asking = { outbound, log, now, retryAttempts: 1, retryDelayMs: 0 };
  const authorizationServer = createProvider({ ...asking, ...placeOf(config) });
  const granted = await obtain(app, authorizationServer, needs);
  const got = judgeGrant(granted, app);
  if (granted.kind !== 'token') return [got, without('service-token'), without('service-call')];
  const token = granted.accessToken.reveal();
  const additionalIssuers = createAdditionalIssuers(config.auth.additionalIssuers, (place) =>
    createProvider({ ...asking, ...place }),
  );
  const metrics = createMetrics();
  const prove = createWaysIn({ config, authorizationServer, additionalIssuers, outbound, metrics, log, now });
  // Once: nobody reads what is counted.
  metrics.stop();
  const proof = await prove(token, '');
  switch (proof.kind) {
    case 'unavailable':
      return [
        got,
        unknown('service-token', `it could not be proved: ${proof.cause.message}`, 'see keys and metadata'),
        without('service-call'),
      ];
    case 'rejected': {
      const accepted = [...audiencesOf({ ...config.auth, ...config.auth.appAuth.externalAuthServer })];
      const of = { clientId: app.clientId, issuer: authorizationServer.issuer, accepted };
      const [rejection = { why: 'token_untrusted', because: proof.why } as const] = rejections;
      return [got, judgeRejection(rejection, of), without('service-call')];
    }
    case 'proven': {
      const judged = judgeApp(proof.identity, ruleFor(proof.identity.issuer, config));
      return [got, judged, judged.verdict === 'problem' ? without('service-call') : await call(token, needs)];
    }
  }
}

function without(check: CheckName): Finding {
  return unknown(check, 'there is no good token to try', 'put right what stands above');
}

/** As the gateway itself sees the issuer of access tokens. */
function placeOf({ auth }: Config): { baseUrl: string; issuerUrl?: string; metadataUrl?: string } {
  const { baseUrl, metadataUrl } = auth.appAuth.externalAuthServer;
  const { openId } = auth.userAuth;
  const isPeoplesToo = baseUrl === openId.baseUrl && metadataUrl === undefined;
  return {
    baseUrl,
    ...(isPeoplesToo && openId.issuerUrl !== undefined && { issuerUrl: openId.issuerUrl }),
    ...(metadataUrl !== undefined && { metadataUrl }),
  };
}

function obtain(app: AppToTry, authorizationServer: Provider, { outbound, now }: Needs): Promise<Granted> {
  const { clientId, clientSecret, tokenUrl, scopes, audience } = app;
  const provider = { ...authorizationServer, metadata: () => metadataWith(tokenUrl, authorizationServer) };
  const optional = audience === undefined ? {} : { audience };
  return createClientCredentials({ provider, outbound, scopes, now, ...optional })(clientId, clientSecret);
}

/** Sends the token where services send theirs, and nowhere that anybody could listen on the way. */
async function call(token: string, { config, direct }: Needs): Promise<Finding> {
  const { publicUrl } = config.server;
  const header = config.auth.grpcAuthorizationHeader;
  const { protocol, hostname } = new URL(publicUrl);
  if (protocol !== 'https:' && !isLoopback(hostname))
    return unknown('service-call', `no token is sent to ${publicUrl}, which has no TLS`, 'see public-url');
  try {
    const { status } = await direct.fetch(`${publicUrl}/me`, { headers: { [header]: `Bearer ${token}` } });
    return judgeCall(status, { publicUrl, header });
  } catch (error) {
    return unknown('service-call', `nobody answers at ${publicUrl} from here: ${shortly(error)}`, 'see public-url');
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

import { createHash, randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { Outbound } from '../oidc/outbound.ts';
import type { ProviderMetadata } from '../oidc/provider.ts';
import { shortly } from './error-code.ts';
import { type Finding, unknown, warning } from './finding.ts';
import { type Answered, type AskedFor, judgeAuthorize, judgeSignOut } from './judge-registration.ts';

interface Needs {
  readonly config: Config;
  readonly outbound: Outbound;
}

/** Whether the web app is registered with the places that the gateway has browsers sent back to. */
export async function checkWebApp(metadata: ProviderMetadata, needs: Needs): Promise<readonly Finding[]> {
  const { server, auth } = needs.config;
  const { clientId, scopes } = auth.userAuth.openId;
  const app = { clientId, scopes: [...new Set(['openid', ...scopes])] };
  const signIn = { check: 'redirect-uri', redirectUri: `${server.publicUrl}/callback`, ...app } as const;
  const signOut = { check: 'sign-out-uri', redirectUri: `${server.publicUrl}/logout`, ...app } as const;
  return Promise.all([askAuthorize(metadata, signIn, needs), askSignOut(metadata, signOut, needs)]);
}

/** Whether the native app is registered with the place where Flyte's SDK and command line listen. */
export async function checkNativeApp(metadata: ProviderMetadata, needs: Needs): Promise<Finding> {
  const { clientId, redirectUri, scopes, audience } = needs.config.auth.appAuth.thirdPartyConfig.flyteClient;
  const asked = { check: 'sdk-redirect-uri', clientId, redirectUri, scopes } as const;
  return askAuthorize(metadata, asked, needs, audience === undefined ? {} : { audience });
}

async function askAuthorize(
  metadata: ProviderMetadata,
  asked: AskedFor,
  needs: Needs,
  more: Readonly<Record<string, string>> = {},
): Promise<Finding> {
  const parameters = new URLSearchParams({
    ...more,
    response_type: 'code',
    client_id: asked.clientId,
    redirect_uri: asked.redirectUri,
    scope: asked.scopes.join(' '),
    state: randomBytes(16).toString('base64url'),
    // Nobody redeems the code: what it was made of is forgotten at once.
    code_challenge: createHash('sha256').update(randomBytes(32)).digest('base64url'),
    code_challenge_method: 'S256',
    // Both belong to OpenID Connect; providers refuse them without that scope.
    ...(asked.scopes.includes('openid') && { nonce: randomBytes(16).toString('base64url'), prompt: 'none' }),
  });
  return browse(metadata.authorization_endpoint, { parameters, asked, judge: judgeAuthorize }, needs);
}

async function askSignOut(metadata: ProviderMetadata, asked: AskedFor, needs: Needs): Promise<Finding> {
  if (metadata.end_session_endpoint === undefined)
    return warning(
      'sign-out-uri',
      `${metadata.issuer} offers no sign-out of its own`,
      'people who sign out here are signed in again at the next click, without being asked: say so to them',
    );
  const parameters = new URLSearchParams({
    client_id: asked.clientId,
    post_logout_redirect_uri: asked.redirectUri,
    state: randomBytes(16).toString('base64url'),
  });
  return browse(metadata.end_session_endpoint, { parameters, asked, judge: judgeSignOut }, needs);
}

/** As much of a page as is looked at. */
const MAX_TEXT = 65_536;

/** Asks as a browser would that nobody has signed in with. Never throws. */
async function browse(
  endpoint: string | undefined,
  question: { parameters: URLSearchParams; asked: AskedFor; judge: (answer: Answered, asked: AskedFor) => Finding },
  { outbound }: Needs,
): Promise<Finding> {
  const { parameters, asked, judge } = question;
  if (endpoint === undefined) return unknown(asked.check, 'the issuer has no endpoint for it', 'see metadata');
  const url = new URL(endpoint);
  for (const [name, value] of parameters) url.searchParams.set(name, value);
  try {
    const headers = { accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8' };
    const answer = await outbound.fetch(url.href, { headers, keep: ['location'] });
    const location = absolute(answer.headers.get('location'), url);
    const text = (await answer.text()).slice(0, MAX_TEXT);
    return judge({ status: answer.status, location, text }, asked);
  } catch (error) {
    return unknown(asked.check, `${url.origin} did not answer: ${shortly(error)}`, 'try again later');
  }
}

function absolute(location: string | null, base: URL): string | undefined {
  return location === null ? undefined : (URL.parse(location, base.href)?.href ?? undefined);
}

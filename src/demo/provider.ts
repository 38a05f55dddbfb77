import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';
import { type Account, createCheckPassword, createPeople } from './people.ts';
import { createInteraction, send } from './provider-interaction.ts';
import { messagePage } from './provider-pages.ts';
import { type Clients, providerSettings } from './provider-settings.ts';

export interface DemoProviderOptions {
  /** 0 asks the system for a free one. */
  readonly port: number;
  /** Address to listen on; 127.0.0.1 unless said otherwise. */
  readonly host?: string;
  /** Where browsers and gateway reach the provider, when that is not `http://<host>:<port>`. */
  readonly issuer?: string;
  /** Origins of the gateway: `<origin>/callback` and `<origin>/logout` are registered. */
  readonly publicUrls: readonly string[];
  /** `aud` of access tokens; the first public URL unless said otherwise. */
  readonly audience?: string;
  /** 300 unless said otherwise. */
  readonly accessTokenTtlS?: number;
  /** Whether each refresh token is good for one use, and a second one ends its grant; true unless said otherwise. */
  readonly strictRotation?: boolean;
  /** How often a device asks whether its person has confirmed; 5 unless said otherwise. */
  readonly deviceIntervalS?: number;
  /** Secrets of the web and the service app; made up unless given. */
  readonly secrets?: { readonly web?: string; readonly service?: string };
  /** Passwords of the two people; made up unless given. */
  readonly passwords?: readonly string[];
  /** Told about every token request once it is answered. */
  readonly onToken?: (call: { readonly grantType: string; readonly ok: boolean }) => void;
}

export interface DemoProvider {
  readonly clients: Clients;
  readonly accounts: readonly Account[];
  /** Opens the port. @returns the issuer */
  start(): Promise<string>;
  /** Ends every connection and closes the port. */
  stop(): Promise<void>;
}

/**
 * An OpenID provider set up as Flyte asks for it: two people, a web app, a public native app (PKCE, device code) and a
 * service app (client credentials), scope `all`, JWT access tokens (RFC 9068). It forgets everything when it stops.
 */
export function createDemoProvider(options: DemoProviderOptions): DemoProvider {
  const accounts = createPeople(options.passwords);
  const clients: Clients = {
    web: { id: 'flyte-console', secret: options.secrets?.web ?? newSecret() },
    native: { id: 'flyte-cli', redirectUri: 'http://localhost:53593/callback' },
    service: { id: 'flyte-service', secret: options.secrets?.service ?? newSecret() },
  };
  const server = createServer();
  return {
    clients,
    accounts,
    start: async () => {
      const host = options.host ?? '127.0.0.1';
      await listen(server, options.port, host);
      const { port } = server.address() as AddressInfo;
      const issuer = options.issuer ?? `http://${host}:${port}`;
      server.on('request', await createAnswer({ options, issuer, clients, accounts }));
      return issuer;
    },
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function createAnswer(on: {
  options: DemoProviderOptions;
  issuer: string;
  clients: Clients;
  accounts: readonly Account[];
}): Promise<Answer> {
  const { options, issuer, clients, accounts } = on;
  const provider = new Provider(
    issuer,
    providerSettings({
      clients,
      people: accounts,
      publicUrls: options.publicUrls,
      audience: options.audience ?? options.publicUrls[0] ?? issuer,
      accessTokenTtlS: options.accessTokenTtlS ?? 300,
      strictRotation: options.strictRotation ?? true,
      jwks: { keys: [await newKey()] },
      cookieKeys: [newSecret()],
    }),
  );
  sayDeviceInterval(provider, options.deviceIntervalS ?? 5);
  const { onToken } = options;
  if (onToken) watchTokens(provider, onToken);
  const oidc = provider.callback();
  const interaction = createInteraction({
    provider,
    people: accounts,
    checkPassword: await createCheckPassword(accounts),
    formTargets: options.publicUrls.concat(new URL(clients.native.redirectUri).origin),
  });
  return (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (path.startsWith('/interaction/')) void interaction(request, response);
    else if (path === '/healthz') response.writeHead(200, { 'content-type': 'text/plain' }).end('ok\n');
    else if (path === '/')
      send(response, 200, messagePage('Demo provider', `OpenID provider ${issuer}. Sign in from the gateway.`));
    else void oidc(request, response);
  };
}

/** RFC 8628 §3.2 leaves it out at will, and oidc-provider does; Flyte 1's SDK cannot do without. */
function sayDeviceInterval(provider: Provider, interval: number): void {
  provider.use(async (ctx, next) => {
    await next();
    const { body }: { body: unknown } = ctx;
    if (ctx['oidc']?.route === 'device_authorization' && typeof body === 'object' && body && 'device_code' in body)
      ctx.body = { ...body, interval };
  });
}

function watchTokens(provider: Provider, onToken: NonNullable<DemoProviderOptions['onToken']>): void {
  provider.on('grant.success', (ctx) => onToken({ grantType: String(ctx.oidc.params?.['grant_type']), ok: true }));
  provider.on('grant.error', (ctx) => onToken({ grantType: String(ctx.oidc.params?.['grant_type']), ok: false }));
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function newKey(): Promise<Record<string, unknown>> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  return { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig' };
}

function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

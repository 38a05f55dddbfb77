import { resolve } from 'node:path';
import { assembleRedis } from './assemble-redis.ts';
import type { Config, Upstream } from './config.ts';
import type { Settings } from './schema.ts';

import type { Secrets } from './secret-files.ts';

/**
 * The settings of a file without mistakes and its secrets as the other rooms want them: names with their units, optional
 * things absent, paths absolute, frozen to the bottom. The compiler checks that schema and `Config` agree.
 *
 * @param folder that relative paths start from
 */
export function assemble(settings: Settings, secrets: Secrets, folder: string): Config {
  const { log, session, decisionCache, identityHeaders } = settings;
  return deepFreeze<Config>({
    server: assembleServer(settings.server, folder),
    log,
    auth: assembleAuth(settings, secrets, folder),
    cookieKeys: secrets.cookieKeys,
    assertionKeys: secrets.assertionKeys,
    ...(secrets.adminToken && { adminToken: secrets.adminToken }),
    session: {
      idleMs: session.idle,
      absoluteMs: session.absolute,
      store: session.store,
      maxSessions: session.maxSessions,
    },
    coordination: session.store === 'redis' ? 'redis' : settings.coordination,
    revocations: settings.revocations,
    ...assembleRedis(settings, secrets, folder),
    decisionCache: {
      maxAgeMs: decisionCache.maxAge,
      maxEntries: decisionCache.maxEntries,
      maxBytes: decisionCache.maxBytes,
      outsideMs: decisionCache.outside,
    },
    streams: settings.streams,
    identityHeaders,
    ...assembleServiceApp(settings, secrets),
    upstreams: Object.fromEntries(
      Object.entries(settings.upstreams).map(([name, upstream]) => [name, assembleUpstream(name, upstream, folder)]),
    ),
    routes: settings.routes.map(({ host, maxBody, ...route }) => ({
      ...(host !== undefined && { host }),
      ...route,
      ...(maxBody !== undefined && { maxBodyBytes: maxBody }),
    })),
    pemFiles: Object.fromEntries(secrets.pemFiles.map((file) => [file, secrets.files.get(file)?.digest ?? ''])),
  });
}

function assembleServiceApp({ serviceApp }: Settings, { serviceSecret }: Secrets): Pick<Config, 'serviceApp'> {
  const { clientId, tokenUrl, scopes, audience, tokenRefreshWindow: refreshWindowMs } = serviceApp;
  if (!clientId || !serviceSecret) return {};
  const optional = { ...(tokenUrl && { tokenUrl }), ...(audience && { audience }) };
  return { serviceApp: { clientId, ...serviceSecret, ...optional, scopes, refreshWindowMs } };
}

function assembleServer(server: Settings['server'], folder: string): Config['server'] {
  const { limits, tls, security } = server;
  return {
    publicUrl: server.publicUrl,
    listen: server.listen,
    ...(tls.certFile &&
      tls.keyFile && { tls: { certFile: resolve(folder, tls.certFile), keyFile: resolve(folder, tls.keyFile) } }),
    admin: server.admin,
    trustedProxies: server.trustedProxies,
    drainMs: server.drain,
    drainDelayMs: Math.min(server.drainDelay, server.drain),
    workers: server.workers,
    reloadIntervalMs: server.reloadInterval,
    limits: {
      headerCount: limits.headerCount,
      headerBytes: limits.headerBytes,
      firstByteMs: limits.firstByte,
      headersMs: limits.headers,
      idleMs: limits.idle,
      bodyIdleMs: limits.bodyIdle,
      connections: limits.connections,
      connectionsPerAddress: limits.connectionsPerAddress,
      streamsPerConnection: limits.streamsPerConnection,
      resetsPerSecond: limits.resetsPerSecond,
      resetBurst: limits.resetBurst,
      streamWindow: limits.streamWindow,
      connectionWindow: limits.connectionWindow,
      pingIntervalMs: limits.pingInterval,
      pingTimeoutMs: limits.pingTimeout,
      tcpKeepAliveMs: limits.tcpKeepAlive,
      upgradeIdleMs: limits.upgradeIdle,
    },
    security,
  };
}

function assembleAuth({ server, auth }: Settings, secrets: Secrets, folder: string): Config['auth'] {
  const proxy = auth.httpProxyURL ?? auth.userAuth.httpProxyURL ?? auth.appAuth.externalAuthServer.httpProxyURL;
  return {
    grpcAuthorizationHeader: auth.grpcAuthorizationHeader,
    httpAuthorizationHeader: auth.httpAuthorizationHeader,
    authorizedUris: [...new Set([server.publicUrl, ...auth.authorizedUris])],
    ...(proxy && { httpProxyURL: proxy }),
    ...(auth.caFile && { caFile: resolve(folder, auth.caFile) }),
    allowHttpIssuer: auth.allowHttpIssuer,
    trustUnverifiedEmail: auth.trustUnverifiedEmail,
    timeoutMs: auth.timeout,
    userAuth: assembleUserAuth(auth.userAuth, secrets),
    appAuth: assembleAppAuth(auth),
    apiKeys: auth.apiKeys,
    ...assembleIntrospection(auth.introspection, secrets),
    additionalIssuers: auth.additionalIssuers.map(({ jwksUrl, metadataUrl, ...issuer }) => ({
      ...issuer,
      ...(jwksUrl && { jwksUrl }),
      ...(metadataUrl && { metadataUrl }),
    })),
  };
}

function assembleIntrospection(
  { clientId, maxAge, failuresPerAddress, failuresInAll }: Settings['auth']['introspection'],
  { introspectionSecret }: Secrets,
): Pick<Config['auth'], 'introspection'> {
  if (clientId === undefined || introspectionSecret === undefined) return {};
  return { introspection: { clientId, ...introspectionSecret, maxAgeMs: maxAge, failuresPerAddress, failuresInAll } };
}

function assembleUserAuth(
  { redirectUrl, openId, cookieSetting, idpQueryParameter }: Settings['auth']['userAuth'],
  secrets: Secrets,
): Config['auth']['userAuth'] {
  return {
    redirectUrl,
    openId: {
      clientId: openId.clientId,
      ...secrets.clientSecret,
      baseUrl: openId.baseUrl,
      ...(openId.issuerUrl && { issuerUrl: openId.issuerUrl }),
      scopes: openId.scopes,
    },
    cookieSetting: {
      sameSitePolicy: cookieSetting.sameSitePolicy,
      ...(cookieSetting.domain && { domain: cookieSetting.domain.replace(/^\./, '').toLowerCase() }),
    },
    ...(idpQueryParameter && { idpQueryParameter }),
  };
}

function assembleAppAuth({ userAuth, appAuth }: Settings['auth']): Config['auth']['appAuth'] {
  const { externalAuthServer: external } = appAuth;
  const { clientId, redirectUri, scopes, audience } = appAuth.thirdPartyConfig.flyteClient;
  const baseUrl = external.baseUrl ?? userAuth.openId.baseUrl;
  // flyteadmin reads a relative one as standing below the issuer, whether or not that ends in a slash.
  const metadataUrl = external.metadataUrl && new URL(external.metadataUrl, baseUrl.replace(/\/?$/, '/')).href;
  return {
    externalAuthServer: {
      baseUrl,
      allowedAudience: external.allowedAudience,
      ...(metadataUrl && { metadataUrl }),
      retryAttempts: external.retryAttempts,
      retryDelayMs: external.retryDelay,
    },
    thirdPartyConfig: { flyteClient: { clientId, redirectUri, scopes, ...(audience && { audience }) } },
  };
}

function assembleUpstream(name: string, upstream: Settings['upstreams'][string], folder: string): Upstream {
  const [first = { protocol: 'http' as const, host: '', port: 0 }] = upstream.url; // a list without any is a mistake
  const { caFile, certFile, keyFile, serverName, host } = upstream;
  const hostHeader = host === 'upstream' ? hostOf(first) : host;
  return {
    name,
    protocol: first.protocol,
    targets: upstream.url.map(({ host, port }) => ({ host, port })),
    resolveIntervalMs: upstream.resolveInterval,
    connectTimeoutMs: upstream.connectTimeout,
    headersTimeoutMs: upstream.headersTimeout,
    idleTimeoutMs: upstream.idleTimeout,
    pingIntervalMs: upstream.pingInterval,
    pingTimeoutMs: upstream.pingTimeout,
    maxConnections: upstream.maxConnections,
    identityHeaders: [...new Set(upstream.identityHeaders)],
    upstreamAuthorization: upstream.upstreamAuthorization,
    ...(upstream.proxyAuthorization === 'pass' && { passesProxyAuthorization: true }),
    ...(hostHeader !== 'keep' && { hostHeader }),
    ...(caFile && { caFile: resolve(folder, caFile) }),
    ...(certFile &&
      keyFile && { clientCertificate: { certFile: resolve(folder, certFile), keyFile: resolve(folder, keyFile) } }),
    ...(serverName && { serverName }),
  };
}

/** Host and port as a URL says them: a port that goes without saying is left out. */
function hostOf({ protocol, host, port }: Settings['upstreams'][string]['url'][number]): string {
  const usual = protocol === 'http' || protocol === 'h2c' ? 80 : 443;
  const bare = host.includes(':') ? `[${host}]` : host;
  return port === usual ? bare : `${bare}:${port}`;
}

function deepFreeze<T>(value: T): T {
  // A Secret guards its value itself; key bytes cannot be frozen.
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const part of Object.values(value)) deepFreeze(part);
  return value;
}

import { identityModes, upstreamAuthorizations } from './config.ts';
import { choice, count, duration, type line, listOf, oneOrMore, parsed } from './rows.ts';
import { optional, section } from './setting.ts';
import { parseHostHeader, parseServerName, parseUpstreamUrl } from './urls.ts';

/**
 * The section of one upstream.
 *
 * @param file makes a row for a path
 */
export function upstreamSection(file: (doc: string, example: string) => ReturnType<typeof line>) {
  return section('One upstream', {
    url: oneOrMore({
      doc: 'http means HTTP/1.1, and cleartext h2 for gRPC callers; h2c always h2; https and h2 likewise over TLS; no path. Of several in a list, and of all addresses that a name has, the one with the fewest requests under way is taken',
      type: 'URL or list of URLs',
      item: 'a URL such as http://127.0.0.1:8090',
      example: 'http://127.0.0.1:8090',
      max: 64,
      parse: parseUpstreamUrl,
    }),
    resolveInterval: duration({
      doc: 'from one look-up of the names in url to the next; while look-ups fail, the last good addresses stay',
      default: '30s',
      min: '1s',
      max: '1h',
    }),
    connectTimeout: duration({ doc: 'to open a connection', default: '5s', min: '10ms', max: '5m' }),
    headersTimeout: duration({
      doc: 'from the end of a request to the head of its answer; streams, once begun, have no limit',
      default: '60s',
      min: '100ms',
      max: '1h',
    }),
    idleTimeout: duration({
      doc: 'a connection without requests is kept so long; sooner where a service says so by Keep-Alive',
      default: '60s',
      min: '1s',
      max: '1h',
    }),
    pingInterval: duration({
      doc: 'an HTTP/2 connection with streams open that said nothing for so long is asked for a sign of life; through one long silence every five minutes, for gRPC servers hang up on more',
      default: '30s',
      min: '1s',
      max: '1h',
    }),
    pingTimeout: duration({
      doc: 'for that sign of life; then the connection is given up, and each of its streams says so to its caller',
      default: '10s',
      min: '100ms',
      max: '5m',
    }),
    maxConnections: count({
      doc: 'in use at once, to all addresses together, upgraded ones included; HTTP/2 connections are counted apart. Requests wait for connectTimeout, a quarter serves public routes at most',
      default: 16_384,
      min: 1,
      max: 65_536,
      unit: 'connections',
    }),
    host: parsed({
      doc: 'the Host that the upstream hears: keep passes the request’s on, upstream says that of url, anything else is said as it stands; X-Forwarded-Host always has the request’s',
      type: 'keep, upstream or host',
      expects: 'keep, upstream, or a host such as flyte.internal:8080',
      default: 'keep',
      parse: parseHostHeader,
    }),
    identityHeaders: listOf(
      choice({
        doc: 'who is asking, said once or in several ways: auth-request (X-Auth-Request-User and its kin), flyteadmin (X-User-Subject, X-User-Claim-*), alb (X-Amzn-Oidc-Identity and, signed by us, -Data), assertion (X-Flytegate-Assertion, a JWT that lives five minutes); [] says nothing. alb and assertion want the secret file assertion_key',
        default: 'auth-request',
        of: identityModes,
      }),
      { default: ['auth-request', 'flyteadmin'], max: identityModes.length },
    ),
    upstreamAuthorization: choice({
      doc: 'which token goes up: verified, the one that was proved, as it came, and nothing else; none; session-token, in authorization the access token of the browser session or else the proved one (wants session.store: memory or redis); service-app, in authorization that of serviceApp and none of the caller’s. Never any on public routes',
      default: 'verified',
      of: upstreamAuthorizations,
    }),
    proxyAuthorization: choice({
      doc: 'pass, for an upstream that is an identity-aware proxy itself: Proxy-Authorization goes up as it came, proved by nobody here; it is never a credential of ours (RFC 9110 §11.7.2)',
      default: 'drop',
      of: ['drop', 'pass'],
    }),
    caFile: optional(file("PEM, in addition to the system's; for https and h2", 'upstream-ca.crt')),
    certFile: optional(file('PEM, the certificate that the gateway proves itself by, and its chain', 'client.crt')),
    keyFile: optional(file('PEM, its private key', 'client.key')),
    serverName: optional(
      parsed({
        doc: 'whose certificate convinces, and the name sent in the handshake (SNI), instead of the host in url',
        type: 'host name',
        expects: 'a host name such as flyte.internal',
        example: 'flyte.internal',
        parse: parseServerName,
      }),
    ),
  });
}

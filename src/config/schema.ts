import { parsePreset } from './presets.ts';
import {
  address,
  choice,
  count,
  countOr,
  duration,
  flag,
  line,
  listOf,
  mustBe,
  oneOrMore,
  parsed,
  size,
} from './rows.ts';
import { authFields } from './schema-auth.ts';
import { limits } from './schema-limits.ts';
import { redisSection } from './schema-redis.ts';
import { serviceApp } from './schema-service-app.ts';
import { upstreamSection } from './schema-upstream.ts';
import { type Draft, named, optional, rows, type Settled, section } from './setting.ts';
import { parseOrigin } from './urls.ts';
import { parseHeaderPrefix, parseHostPattern, parseNetwork, parseRoutePath, parseToken } from './values.ts';

/** A name that routes call an upstream by. */
export const upstreamName = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

const file = (doc: string, example: string) =>
  line({ doc, example, type: 'path', expects: "a path, absolute or from the settings file's folder", max: 1024 });

const security = section(
  "flyteadmin's own switches",
  {
    useAuth: mustBe({
      doc: 'flyteadmin turns its sign-in on with it; here it is always on',
      default: true,
      why: 'a gateway that lets everybody in is no gateway: take it out of the way instead',
    }),
    insecureCookieHeader: flag({
      doc: 'cookies without Secure: whoever listens on the network can take them; only for sign-in over http:',
      default: false,
    }),
  },
  {
    secure: "TLS of flyteadmin's own port: here it is server.tls",
    ssl: "TLS of flyteadmin's own port: here it is server.tls with certFile and keyFile",
    auditAccess: 'every request is in the log already',
    allowCors: 'the upstream answers CORS: leave the setting with it',
    allowedOrigins: 'the upstream answers CORS: leave the setting with it',
    allowedHeaders: 'the upstream answers CORS: leave the setting with it',
  },
);

const server = section(
  'Where to listen and how to behave there',
  {
    publicUrl: parsed({
      doc: 'the origin that browsers and SDKs use; the first authorized URI',
      type: 'origin',
      expects: 'an origin such as https://flyte.example.com',
      example: 'https://flyte.example.com',
      parse: parseOrigin,
    }),
    listen: address({
      doc: 'HTTP/1.1, WebSocket and cleartext HTTP/2 on one port; port 0 takes a free one',
      default: '127.0.0.1:8080',
    }),
    tls: section('TLS on the public port, HTTP/1.1 and h2 by ALPN; without both files it is cleartext', {
      certFile: optional(file('PEM, the certificate and its chain', 'tls.crt')),
      keyFile: optional(file('PEM, its private key', 'tls.key')),
    }),
    admin: address({
      doc: '/healthz, /readyz and /metrics, and with the secret file admin_token an API that lists sessions and ends them; never on the public port',
      default: '127.0.0.1:9090',
    }),
    trustedProxies: listOf(
      parsed({
        doc: 'whose X-Forwarded-* and X-Auth-Request-Redirect are believed; nobody by default',
        type: 'network',
        expects: 'a network such as 10.0.0.0/8',
        parse: parseNetwork,
      }),
      { default: [], max: 100 },
    ),
    drain: duration({ doc: 'how long streams may go on after SIGTERM', default: '30s', min: '0s', max: '1h' }),
    drainDelay: duration({
      doc: 'of that, how long new connections are still taken while /readyz says 503 already: at least what a balancer takes to notice',
      default: '5s',
      min: '0s',
      max: '10m',
    }),
    workers: countOr({
      doc: 'processes that serve the public port; auto: as many as there are cores. Each has limits, connections and caches of its own; more than one have to share sign-outs and renewals',
      default: 1,
      min: 1,
      max: 256,
      word: 'auto',
    }),
    reloadInterval: duration({
      doc: 'how often the settings file and every file that it names are looked at for changes, which are then taken over; 0s: on SIGHUP alone',
      default: '10s',
      min: '0s',
      max: '1h',
    }),
    limits,
    security,
  },
  {
    httpPort: "flyteadmin's own port: here it is server.listen",
    grpcPort: "flyteadmin's own port: here gRPC shares server.listen",
    grpc: "flyteadmin's own port: here gRPC shares server.listen",
    grpcServerReflection: 'reflection is passed on to the upstream',
    readHeaderTimeoutSeconds: 'here it is server.limits.headers',
    thirdPartyConfig: 'here it is auth.appAuth.thirdPartyConfig',
    dataProxy: 'it stays with flyteadmin',
    'kube-config': 'it stays with flyteadmin',
    kubeClientConfig: 'it stays with flyteadmin',
    master: 'it stays with flyteadmin',
  },
);

const upstream = upstreamSection(file);

const route = section('One route', {
  host: optional(
    parsed({
      doc: 'exact, or *.example.com; without it every host',
      type: 'host',
      expects: 'a host such as flyte.example.com or *.apps.example.com',
      example: 'flyte.example.com',
      parse: parseHostPattern,
    }),
  ),
  path: parsed({
    doc: 'prefix, on segment borders',
    type: 'path',
    expects: 'a path prefix such as /api',
    example: '/',
    parse: parseRoutePath,
  }),
  upstream: line({
    doc: 'name of an upstream',
    type: 'name',
    expects: 'the name of an upstream',
    example: 'control-plane',
    max: 63,
    form: upstreamName,
  }),
  access: choice({
    doc: 'with public no credential is examined, identity headers and bearer are stripped; with nobody the path is served to no one, whatever shorter paths are',
    default: 'authenticated',
    of: ['authenticated', 'public', 'nobody'],
  }),
  maxBody: optional(
    size({
      doc: 'bytes of one request body, all messages of an RPC stream together; without it no limit',
      example: '64MiB',
      min: '0B',
      max: '1024GiB',
    }),
  ),
});

/** Every setting there is. */
export const schema = section('The settings of flytegate: one file, no environment layer', {
  server,
  log: section('What is written to standard output', {
    level: choice({ doc: 'the least level written', default: 'info', of: ['debug', 'info', 'warn', 'error'] }),
    requests: flag({ doc: 'one line per forwarded request', default: true }),
  }),
  secretsDir: line({
    doc: 'folder of secret files, named as flyteadmin names them',
    default: '/etc/secrets',
    type: 'path',
    expects: "a folder, absolute or from the settings file's",
    max: 1024,
  }),
  auth: section(
    "flyteadmin's own section, pasted as it is; caFile, allowHttpIssuer, trustUnverifiedEmail and timeout are ours",
    authFields(file),
  ),
  session: section('How long a person stays signed in', {
    idle: duration({ doc: 'signed out after so long without a request', default: '8h', min: '1m', max: '30d' }),
    absolute: duration({
      doc: 'signed out so long after signing in, whatever happens; not under session.idle',
      default: '7d',
      min: '1m',
      max: '90d',
    }),
    store: choice({
      doc: 'cookie keeps it sealed with the browser, through restarts; redis in Redis, for replicas and what does not fit in a cookie; memory in this process',
      default: 'cookie',
      of: ['cookie', 'memory', 'redis'],
    }),
    maxSessions: count({
      doc: 'kept at most by store: memory; one person holds at most 64 of them',
      default: 100_000,
      min: 100,
      max: 10_000_000,
      unit: 'sessions',
    }),
  }),
  coordination: choice({
    doc: 'with redis, replicas hear of each other’s sign-outs and renew each session once; process is for one process alone. It is redis in any case with session.store: redis',
    default: 'process',
    of: ['process', 'redis'],
  }),
  revocations: choice({
    doc: 'while Redis cannot say who was signed out elsewhere, best-effort believes sessions by what is known here, and required answers unavailable',
    default: 'best-effort',
    of: ['best-effort', 'required'],
  }),
  redis: redisSection(file),
  streams: section('What is open when the right to it ends; with a session, streams and sockets always end', {
    endAtExpiry: flag({
      doc: 'streams and sockets that a bearer token opened end when the token expires, within a second',
      default: false,
    }),
  }),
  decisionCache: section('How long a yes may be reused', {
    maxAge: duration({
      doc: 'in this process; a token revoked elsewhere works for so long',
      default: '60s',
      min: '0s',
      max: '15m',
    }),
    maxEntries: count({ doc: 'decisions kept', default: 100_000, min: 100, max: 10_000_000, unit: 'decisions' }),
    maxBytes: size({ doc: 'memory of the decisions kept', default: '64MiB', min: '1MiB', max: '16GiB' }),
    outside: duration({
      doc: 'in an outside cache such as nginx; signing out takes up to so long there',
      default: '10s',
      min: '0s',
      max: '5m',
    }),
  }),
  identityHeaders: section('What upstreams are told about the caller', {
    strip: listOf(
      parsed({
        doc: 'header names beginning so are removed from requests, besides the built-in ones',
        type: 'prefix',
        expects: 'the beginning of header names, such as x-corp-user-',
        parse: parseHeaderPrefix,
      }),
      { default: [], max: 50 },
    ),
    claims: listOf(
      parsed({
        doc: 'claims shown as X-User-Claim-<name>',
        type: 'claim',
        expects: 'a claim whose name can stand in a header name',
        parse: parseToken,
      }),
      { default: [], max: 20 },
    ),
  }),
  serviceApp,
  preset: optional(
    oneOrMore({
      doc: 'routes, identity headers and start page of a stock Flyte: flyte2 wants the upstream flyte2, flyte1 wants flyte1 and flyte1-grpc; with flyte2-console and flyte1-console the consoles, too. What the file says itself goes before; check-config --print shows what comes of it',
      type: 'preset or list of presets',
      item: 'flyte2 or flyte1',
      example: 'flyte2',
      max: 2,
      parse: parsePreset,
    }),
  ),
  upstreams: named('The services behind the gateway, by name', { max: 1000, exampleName: 'control-plane' }, upstream),
  routes: rows(
    'Which request goes where: the exact host, else the longest wildcard, else routes for every host; among those the longest path',
    10_000,
    route,
  ),
});

/** The file's values, valid, in base units, under the file's own names. */
export type Settings = Settled<typeof schema>;

/** The same of a file that may have mistakes. */
export type SettingsDraft = Draft<typeof schema>;

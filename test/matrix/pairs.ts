import { makeSettingsFolder } from '../config/settings-folder.ts';
import { endLater, type FakeRig, startFakeRig } from '../flows/rig.ts';
import { testCertificate } from '../server/test-certificate.ts';
import { type Caller, createCaller, createFreshCaller, type Protocol } from './caller.ts';
import { startUpstream, type UpstreamNeeds } from './upstream.ts';

/** What a client speaks with the gateway, and the gateway with the upstream. */
export interface Pair {
  readonly client: Protocol;
  readonly upstream: Protocol;
}

export const pairs: readonly Pair[] = [
  { client: 'HTTP/1.1', upstream: 'HTTP/1.1' },
  { client: 'HTTP/1.1 over TLS', upstream: 'HTTP/1.1 over TLS' },
  { client: 'h2c', upstream: 'h2c' },
  { client: 'h2', upstream: 'h2' },
  { client: 'h2c', upstream: 'HTTP/1.1' },
  { client: 'h2', upstream: 'HTTP/1.1 over TLS' },
  { client: 'HTTP/1.1', upstream: 'h2c' },
];

export function nameOf({ client, upstream }: Pair): string {
  return `${client} → ${upstream}`;
}

export function speaksHttp2(protocol: Protocol): boolean {
  return protocol === 'h2' || protocol === 'h2c';
}

/** A real gateway with a real upstream behind it, and two ways to that upstream. Everything ends with the file. */
export interface Stage {
  readonly rig: FakeRig;
  /** Port of the upstream itself. */
  readonly upstreamPort: number;
  /** A bearer that the gateway lets in. */
  readonly authorization: string;
  /** To the upstream itself, in the client's protocol. */
  readonly direct: Caller;
  /** To the gateway. */
  readonly through: Caller;
}

export async function startStage(
  pair: Pair,
  needs: Omit<UpstreamNeeds, 'tls'> & { readonly settings?: Readonly<Record<string, unknown>> },
): Promise<Stage> {
  const { settings: more, ...serving } = needs;
  const upstream = await startUpstream({ ...serving, tls: isTls(pair.upstream) });
  endLater(upstream.close);
  const files = await makeSettingsFolder('', { 'tls.crt': testCertificate.cert, 'tls.key': testCertificate.key });
  endLater(files.remove);
  const rig = await startFakeRig({
    upstream: `${schemes[pair.upstream]}://127.0.0.1:${upstream.port}`,
    ...(isTls(pair.client) && { publicUrl: 'https://matrix.test' }),
    settings: {
      ...(isTls(pair.client) && {
        'server.tls.certFile': `${files.folder}/tls.crt`,
        'server.tls.keyFile': `${files.folder}/tls.key`,
      }),
      ...(isTls(pair.upstream) && { 'upstreams.control-plane.caFile': `${files.folder}/tls.crt` }),
      ...more,
    },
  });
  const direct = createFreshCaller(pair.client, upstream.port);
  const through = createCaller(pair.client, rig.port);
  endLater(async () => {
    direct.close();
    through.close();
  });
  const authorization = `Bearer ${await rig.provider.accessToken()}`;
  return { rig, upstreamPort: upstream.port, authorization, direct, through };
}

const schemes: Readonly<Record<Protocol, string>> = {
  'HTTP/1.1': 'http',
  'HTTP/1.1 over TLS': 'https',
  h2c: 'h2c',
  h2: 'h2',
};

function isTls(protocol: Protocol): boolean {
  return protocol === 'h2' || protocol === 'HTTP/1.1 over TLS';
}

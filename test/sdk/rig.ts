import { writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { makeAssertionKey } from '../../src/config/assertion-keygen.ts';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { createBrowser, type Visited } from '../fakes/browser.ts';
import { freePort } from '../fakes/nginx.ts';
import { type DemoRig, endLater, type RigOptions, startDemoRig } from '../flows/rig.ts';
import { sdkCertificate } from './certificate.ts';
import { makeHome } from './sdk-client.ts';

/** A gateway over TLS in front of both of Flyte's generations by their presets, with the certified provider. */
export interface SdkRig extends DemoRig {
  /** `localhost:<port>`, as SDKs name it. */
  readonly endpoint: string;
  /** PEM file of the authority that signed the gateway's certificate. */
  readonly caFile: string;
  /** Every request that reached the control plane, by its path. */
  readonly reached: readonly { readonly path: string; readonly fields: IncomingHttpHeaders }[];
  /** Resolves when the next request reaches the control plane whose path ends so. */
  arrival(path: string): Promise<void>;
  /** Does what a person does at the provider: signs in, and confirms a device. */
  approve(address: string, person?: string): Promise<Visited>;
}

type Options = NonNullable<Parameters<typeof startDemoRig>[0]>;

/** Starts everything; what `options` says is added. */
export async function startSdkRig(options: Options = {}): Promise<SdkRig> {
  const reached: { path: string; fields: IncomingHttpHeaders }[] = [];
  const awaited = new Map<string, () => void>();
  const onRequest = (request: (typeof reached)[number]) => {
    reached.push(request);
    for (const [end, resolve] of awaited) if (request.path.endsWith(end) && awaited.delete(end)) resolve();
  };
  const plane = createControlPlane({ port: 0, tickMs: options.tickMs ?? 20, onRequest });
  const upstream = await plane.start();
  endLater(plane.stop);
  const rig = await startDemoRig({
    // Whatever stands in front at an address of its own has taken TLS off.
    ...(options.publicUrl === undefined && { tls: sdkCertificate }),
    ...options,
    provider: { deviceIntervalS: 1, ...options.provider },
    upstream,
    settings: { ...stockFlyte(upstream), ...(await callback()), ...options.settings },
    files: { 'secrets/assertion_key': makeAssertionKey(), ...options.files },
  });
  return {
    ...rig,
    caFile: await writeAuthority(),
    reached,
    endpoint: `localhost:${rig.port}`,
    arrival: (path) => new Promise((resolve) => awaited.set(path, resolve)),
    approve: (...at) => approve(rig, ...at),
  };
}

/** @returns the path of a PEM file with the authority that signed the gateway's certificate */
export async function writeAuthority(): Promise<string> {
  const file = join(await makeHome(), 'ca.crt');
  await writeFile(file, sdkCertificate.authority);
  return file;
}

/** What an operator writes for a stock Flyte 2 and a stock Flyte 1 on one host. */
export function stockFlyte(upstream: string): NonNullable<RigOptions['settings']> {
  return {
    preset: ['flyte2', 'flyte1'],
    upstreams: {
      flyte2: { url: upstream },
      flyte1: { url: upstream },
      'flyte1-grpc': { url: upstream.replace('http:', 'h2c:') },
    },
    routes: [],
  };
}

/** The SDK listens there itself, and the port that Flyte documents may be taken. */
async function callback(): Promise<NonNullable<RigOptions['settings']>> {
  return { 'auth.appAuth.thirdPartyConfig.flyteClient.redirectUri': `http://localhost:${await freePort()}/callback` };
}

async function approve({ provider }: DemoRig, address: string, person = 'ada'): Promise<Visited> {
  const browser = createBrowser();
  const password = provider.accounts.find(({ sub }) => sub === person)?.password ?? '';
  let page = await browser.open(address);
  for (let step = 0; step < 4 && page.text.includes('<form'); step++)
    page = await browser.submit(page, page.text.includes('name="password"') ? { user: person, password } : {});
  return page;
}

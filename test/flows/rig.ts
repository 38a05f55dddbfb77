import { readFile } from 'node:fs/promises';
import { after } from 'node:test';
import { parseDocument } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { describeMistakes } from '../../src/config/mistake.ts';
import { createControlPlane } from '../../src/demo/control-plane.ts';
import { createDemoProvider, type DemoProvider, type DemoProviderOptions } from '../../src/demo/provider.ts';
import { createGateway, type Gateway } from '../../src/gateway.ts';
import { makeSettingsFolder, type SettingsFolder, secretFiles } from '../config/settings-folder.ts';
import { type Browser, createBrowser, type Visited } from '../fakes/browser.ts';
import { freePort } from '../fakes/nginx.ts';
import { type FakeProvider, startProvider } from '../fakes/provider.ts';
import { type Answer, ask, type Question } from './ask.ts';
import { createLogLines, type LogLines } from './log-lines.ts';

// Whatever a suite starts ends with its file, the last first: hooks that are added while others run would fire at once.
const undo: (() => Promise<void>)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

/** A whole gateway with everything around it, on free ports of 127.0.0.1; ended with the file that started it. */
export interface Rig {
  /** The public URL: `http://localhost:<port>` (https: with TLS) unless something stands in front. */
  readonly url: string;
  readonly port: number;
  /** Where the operator's port is; another one after a restart. */
  admin(): string;
  readonly issuer: string;
  /** The control plane, or whatever stands behind. */
  readonly upstream: string;
  /** The settings file that the gateway was made from. */
  readonly settings: SettingsFolder;
  readonly log: LogLines;
  /** Moves the gateway's clock, and that of a fake provider. */
  move(ms: number): void;
  /** One request to the gateway, nothing followed and nothing remembered. */
  ask(path: string, question?: Question): Promise<Answer>;
  /** Stops the gateway and starts another one from the same files, on the same port; nothing is remembered. */
  restart(): Promise<void>;
  /** The gateway itself; another one after a restart. */
  gateway(): Gateway;
  /** Has it read its files again and take them over. */
  reload(): ReturnType<Gateway['reload']>;
  /** Stops the gateway only. */
  stop(): Promise<void>;
}

export interface RigOptions {
  /** Settings to change or add, by their path: `session.store`. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** What stands in front, where browsers go, instead of the gateway itself. */
  readonly publicUrl?: string;
  /** Where requests go instead of the demo's control plane. */
  readonly upstream?: string;
  /** Of server-sent events. */
  readonly tickMs?: number;
  /** Further files beside the settings, by their path. */
  readonly files?: Readonly<Record<string, string>>;
  /** The public port's certificate and key, in PEM; without them it is cleartext. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** With the demo's certified provider, whose pages a person goes through. */
export interface DemoRig extends Rig {
  readonly provider: DemoProvider;
  /** Opens a page, types a name and the password at the provider, and comes back. */
  signIn(person?: string, path?: string, browser?: Browser): Promise<SignedIn>;
  /** An access token of the service app (client credentials). */
  appToken(): Promise<string>;
}

/** With a provider that lets everyone in and misbehaves on request. */
export interface FakeRig extends Rig {
  readonly provider: FakeProvider;
  signIn(path?: string, browser?: Browser): Promise<SignedIn>;
}

export interface SignedIn {
  readonly browser: Browser;
  readonly page: Visited;
  /** The Cookie field that the browser sends to the gateway's pages. */
  readonly cookie: string;
}

export async function startDemoRig(
  options: RigOptions & { readonly provider?: Partial<DemoProviderOptions> } = {},
): Promise<DemoRig> {
  let provider: DemoProvider | undefined;
  const rig = await startRig(options, async (publicUrls) => {
    const made = createDemoProvider({ port: 0, ...options.provider, publicUrls });
    provider = made;
    return { issuer: await made.start(), secret: made.clients.web.secret, stop: made.stop };
  });
  if (!provider) throw new Error('the provider was not started');
  const { accounts, clients } = provider;
  return {
    ...rig,
    provider,
    signIn: async (person = 'ada', path = '/console', browser = createBrowser()) => {
      const form = await browser.open(rig.url + path);
      const password = accounts.find(({ sub }) => sub === person)?.password ?? '';
      const page = await browser.submit(form, { user: person, password });
      return { browser, page, cookie: browser.cookiesFor(`${rig.url}/`) };
    },
    appToken: async () => {
      const { id, secret } = clients.service;
      const { json } = await ask(`${rig.issuer}/token`, {
        method: 'POST',
        body: 'grant_type=client_credentials&scope=all',
        fields: {
          'content-type': 'application/x-www-form-urlencoded',
          authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
        },
      });
      return String(json()['access_token']);
    },
  };
}

export async function startFakeRig(
  options: RigOptions & { readonly behaviour?: Partial<FakeProvider['behaviour']> } = {},
): Promise<FakeRig> {
  const clock = createClock();
  let provider: FakeProvider | undefined;
  const rig = await startRig(
    { ...options, clock, settings: { 'auth.userAuth.openId.clientId': 'web', ...options.settings } },
    async ([audience = '']) => {
      const made = await startProvider({ now: clock.now, audience });
      Object.assign(made.behaviour, options.behaviour);
      provider = made;
      return { issuer: made.issuer, secret: 'the client secret', stop: made.stop };
    },
  );
  if (!provider) throw new Error('the provider was not started');
  return {
    ...rig,
    provider,
    signIn: async (path = '/console', browser = createBrowser()) => {
      const page = await browser.open(rig.url + path);
      return { browser, page, cookie: browser.cookiesFor(`${rig.url}/`) };
    },
  };
}

interface Clock {
  readonly now: () => number;
  move(ms: number): void;
}

function createClock(): Clock {
  let offset = 0;
  return {
    now: () => Date.now() + offset,
    move: (ms) => {
      offset += ms;
    },
  };
}

type StartIssuer = (
  publicUrls: readonly string[],
) => Promise<{ issuer: string; secret: string; stop(): Promise<void> }>;

async function startRig(options: RigOptions & { clock?: Clock }, startIssuer: StartIssuer): Promise<Rig> {
  const plane = createControlPlane({ port: 0, tickMs: options.tickMs ?? 20 });
  const upstream = options.upstream ?? (await plane.start());
  if (options.upstream === undefined) undo.push(plane.stop);
  // The public URL stands in the settings, so its port is chosen before it is opened: somebody may take it in between.
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce({ ...options, upstream, port: await freePort() }, startIssuer);
    } catch (cause) {
      const isTaken = cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE';
      if (!isTaken || attempt === 5) throw cause;
    }
  }
}

async function startOnce(
  options: RigOptions & { clock?: Clock; port: number; upstream: string },
  startIssuer: StartIssuer,
): Promise<Rig> {
  const { port, upstream, tls, clock = createClock() } = options;
  const scheme = tls ? 'https' : 'http';
  const url = options.publicUrl ?? `${scheme}://localhost:${port}`;
  const publicUrls = [url, `${scheme}://127.0.0.1:${port}`];
  const { issuer, secret, stop: stopIssuer } = await startIssuer(publicUrls);
  undo.push(stopIssuer);
  const tlsSettings = tls && { 'server.tls': { certFile: 'tls.crt', keyFile: 'tls.key' } };
  const text = await settingsText({ port, publicUrls, issuer, upstream }, { ...tlsSettings, ...options.settings });
  const settings = await makeSettingsFolder(text, {
    ...secretFiles,
    'secrets/oidc_client_secret': secret,
    ...(tls && { 'tls.crt': tls.cert, 'tls.key': tls.key }),
    ...options.files,
  });
  undo.push(settings.remove);
  const log = createLogLines();
  const open = async () => {
    const loaded = await loadConfig(settings.file);
    if (loaded.kind === 'mistakes') throw new Error(describeMistakes('settings', loaded.mistakes));
    const made = await createGateway(loaded.config, { now: clock.now, output: log.output });
    const { admin } = await made.start();
    return { made, admin };
  };
  let { made: gateway, admin }: { made: Gateway; admin: string } = await open();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= gateway.stop();
    return stopped;
  };
  undo.push(stop);
  return {
    ...{ url, port, issuer, upstream, settings, log, move: clock.move, stop },
    admin: () => admin,
    ask: (path, question) => ask(url + path, question),
    gateway: () => gateway,
    reload: () => gateway.reload(() => loadConfig(settings.file)),
    restart: async () => {
      await stop();
      ({ made: gateway, admin } = await open());
      stopped = undefined;
    },
  };
}

async function settingsText(
  at: { port: number; publicUrls: readonly string[]; issuer: string; upstream: string },
  changes: Readonly<Record<string, unknown>>,
): Promise<string> {
  const template = await readFile(new URL('../../config/demo.yaml', import.meta.url), 'utf8');
  const document = parseDocument(template);
  const settings = {
    'server.publicUrl': at.publicUrls[0],
    'server.listen': `127.0.0.1:${at.port}`,
    'server.admin': '127.0.0.1:0',
    'server.drain': '0s',
    'log.level': 'debug',
    secretsDir: 'secrets',
    'auth.authorizedUris': at.publicUrls.slice(1),
    'auth.userAuth.openId.baseUrl': at.issuer,
    'upstreams.control-plane.url': at.upstream,
    ...changes,
  };
  for (const [path, value] of Object.entries(settings)) document.setIn(path.split('.'), document.createNode(value));
  return document.toString();
}

/** Has something else ended with the file, before what was started earlier. */
export function endLater(end: () => Promise<void>): void {
  undo.push(end);
}

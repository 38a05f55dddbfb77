import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addKeyPair, makeKeyPair } from '../src/config/keygen.ts';
import { publicUrl, type RunningProvider } from './provider.ts';
import { createSessionMaker, type SessionMaker } from './sessions.ts';
import type { Stage } from './stage.ts';

/** What all gateways of a run share. */
export interface Site {
  readonly provider: RunningProvider;
  readonly sessions: SessionMaker;
  /** File with the settings for a gateway. */
  settings(wanted: GatewaySettings): Promise<string>;
}

/** What differs between the gateways. */
export interface GatewaySettings {
  /** Origin of the upstream; nobody listens there when it is left out. */
  readonly upstream?: string;
  /** Hosts and paths that it forwards; all of them unless said otherwise. */
  readonly routes?: readonly { readonly host: string; readonly path: string }[];
  readonly log: { readonly level: 'info' | 'debug'; readonly requests: boolean };
  readonly decisionCache?: { readonly maxAge: string; readonly maxEntries: number; readonly maxBytes: string };
  readonly trustedProxies?: readonly string[];
  /** Options of Node's own. */
  readonly nodeOptions?: readonly string[];
}

/** A gateway that listens. */
export interface RunningGateway {
  readonly pid: number;
  readonly port: number;
  readonly admin: string;
  /** Where its debugger listens, if it was told to with `--inspect`. */
  readonly debugger: string | undefined;
  stop(): Promise<void>;
}

/** What a gateway says when it listens: debugger if there is one, URL, admin. */
export const saysWhere = /(?:Debugger listening on (ws:\S+)[\s\S]*)?listens on (\S+), admin on (\S+)\n/;

export async function openSite(stage: Stage, provider: RunningProvider): Promise<Site> {
  const keys = makeKeyPair();
  const secretsDir = join(stage.folder, 'secrets');
  await mkdir(secretsDir);
  await addKeyPair(secretsDir, keys);
  await writeFile(join(secretsDir, 'oidc_client_secret'), 'nobody signs in here', { mode: 0o600 });
  let count = 0;
  return {
    provider,
    sessions: createSessionMaker(keys, provider.issuer),
    settings: async (wanted) => {
      count += 1;
      const file = join(stage.folder, `gateway-${count}.yaml`);
      await writeFile(file, settingsText(wanted, { secretsDir, issuer: provider.issuer }));
      return file;
    },
  };
}

/** Starts a gateway from the build, as an operator would. Its log goes to a file, as a supervisor would have it. */
export async function startGateway(stage: Stage, site: Site, wanted: GatewaySettings): Promise<RunningGateway> {
  const file = await site.settings(wanted);
  const cli = join(stage.build, 'dist/cli.js');
  const { pid, ready, stop } = await stage.start(
    'server',
    {
      command: process.execPath,
      args: [...(wanted.nodeOptions ?? []), cli, 'serve', '--config', file],
      outputFile: `${file}.log`,
    },
    saysWhere,
  );
  const [, debuggerUrl, url = '', admin = ''] = ready;
  return { pid, port: Number(new URL(url).port), admin, debugger: debuggerUrl, stop };
}

// YAML reads JSON.
function settingsText(wanted: GatewaySettings, site: { secretsDir: string; issuer: string }): string {
  return JSON.stringify({
    server: {
      publicUrl,
      listen: '127.0.0.1:0',
      admin: '127.0.0.1:0',
      drain: '0s',
      ...(wanted.trustedProxies && { trustedProxies: wanted.trustedProxies }),
    },
    log: wanted.log,
    secretsDir: site.secretsDir,
    auth: { userAuth: { openId: { clientId: 'flyte-console', baseUrl: site.issuer } } },
    ...(wanted.decisionCache && { decisionCache: wanted.decisionCache }),
    upstreams: { 'control-plane': { url: wanted.upstream ?? 'http://127.0.0.1:9' } },
    routes: (wanted.routes ?? [{ path: '/' }]).map((where) => ({
      ...where,
      upstream: 'control-plane',
      access: 'authenticated',
    })),
  });
}

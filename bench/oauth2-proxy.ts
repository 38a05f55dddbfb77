import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createBrowser } from '../test/fakes/browser.ts';
import { freePort, listening } from './port.ts';
import { publicUrl, type RunningProvider } from './provider.ts';
import type { Stage } from './stage.ts';

/** An oauth2-proxy that somebody is signed in to. */
export interface RunningOauth2Proxy {
  readonly pid: number;
  readonly port: number;
  /** Answers nginx's checks. */
  readonly check: string;
  /** The `Cookie` of a person's session. */
  readonly cookie: string;
}

/**
 * Starts oauth2-proxy as a check for nginx, with sessions in cookies and no line per request, and signs somebody in.
 *
 * @param path its executable
 * @throws {Error} when the sign-in does not come to an end
 */
export async function startOauth2Proxy(
  stage: Stage,
  path: string,
  provider: RunningProvider,
): Promise<RunningOauth2Proxy> {
  const port = await freePort();
  const file = join(stage.folder, 'oauth2-proxy.cfg');
  await writeFile(file, settings(port, provider), { mode: 0o600 });
  const { pid } = await stage.start('server', { command: path, args: ['--config', file] }, /OAuthProxy configured/);
  await listening(port, 'oauth2-proxy');
  return { pid, port, check: '/oauth2/auth', cookie: await signIn(`http://localhost:${port}`, provider) };
}

// TOML reads these values as JSON has them.
function settings(port: number, { issuer, web }: RunningProvider): string {
  const rows: Readonly<Record<string, unknown>> = {
    http_address: `127.0.0.1:${port}`,
    provider: 'oidc',
    oidc_issuer_url: issuer,
    client_id: web.id,
    client_secret: web.secret,
    redirect_url: `${publicUrl}/oauth2/callback`,
    code_challenge_method: 'S256',
    email_domains: ['*'],
    cookie_secret: randomBytes(32).toString('base64url'),
    // Everything here is plain HTTP on loopback.
    cookie_secure: false,
    reverse_proxy: true,
    set_xauthrequest: true,
    upstreams: ['static://202'],
    ...{ request_logging: false, auth_logging: false },
  };
  return Object.entries(rows)
    .map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`)
    .join('');
}

/** @returns the `Cookie` field that a browser sends afterwards */
async function signIn(origin: string, { person }: RunningProvider): Promise<string> {
  const browser = createBrowser();
  const form = await browser.open(`${origin}/oauth2/start?rd=/`);
  const callback = await browser.submit(form, person, (url) => url.origin === publicUrl);
  // The port that the public URL stands for.
  const home = await browser.open(`${origin}${callback.url.pathname}${callback.url.search}`);
  if (home.status !== 202) throw new Error(`signing in to oauth2-proxy ended with ${home.status}: ${home.text}`);
  return browser.cookiesFor(home.url.href);
}

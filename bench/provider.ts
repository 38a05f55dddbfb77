import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Stage } from './stage.ts';

/** An identity provider that runs, and a way to get tokens from it. */
export interface RunningProvider {
  readonly issuer: string;
  /** An access token of the service app, good for a day. */
  token(): Promise<string>;
  /** The app that people sign in to. */
  readonly web: { readonly id: string; readonly secret: string };
  /** Somebody who can. */
  readonly person: { readonly user: string; readonly password: string };
}

/** The one authorized URI of every gateway here; which port it stands for is the listener's business. */
export const publicUrl = 'http://localhost';

export async function startProvider(stage: Stage): Promise<RunningProvider> {
  const [service, secret, password] = [newSecret(), newSecret(), newSecret()];
  const args = [join(import.meta.dirname, 'upstream/provider.ts'), publicUrl, service, secret, password];
  const { ready } = await stage.start(
    'client',
    { command: process.execPath, args: ['--import', 'tsx', ...args] },
    /issuer (\S+) service (\S+) web (\S+) user (\S+)\n/,
  );
  const [, issuer = '', client = '', id = '', user = ''] = ready;
  return {
    issuer,
    token: () => fetchToken(`${issuer}/token`, `${client}:${service}`),
    web: { id, secret },
    person: { user, password },
  };
}

async function fetchToken(url: string, client: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(client).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'all' }),
  });
  const answer: unknown = await response.json();
  const isToken = typeof answer === 'object' && answer !== null && 'access_token' in answer;
  if (!isToken || typeof answer.access_token !== 'string')
    throw new Error(`no token from the provider: ${response.status}`);
  return answer.access_token;
}

function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

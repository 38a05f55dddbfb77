/** What is looked at, by the stable name that stands in the line and in docs/flyte.md. */
export const checks = {
  settings: 'the settings file can be used at all',
  'secret-files': 'each secret file holds one plain secret and is for the gateway alone',
  'public-url': 'browsers find the gateway, and no one else, at server.publicUrl',
  cookies: 'browsers keep the session cookie on every host where people sign in',
  'app-hosts': 'the session cookie reaches each host that a service has of its own',
  certificate: 'the TLS certificate that browsers see names the host and has not run out',
  metadata: 'the issuer answers as itself and offers what sign-in needs',
  keys: 'the keys that tokens are signed with can be fetched',
  clock: 'this machine and the issuer agree on the time',
  'redirect-uri': 'the provider sends people back to <public URL>/callback',
  'sdk-redirect-uri': "the provider sends Flyte's SDK back to where it listens",
  'sign-out-uri': 'the provider sends people back to <public URL>/logout',
  scopes: 'the provider offers the scopes that are asked for, `all` for one',
  audience: 'access tokens are for an audience that is accepted here',
  'service-app': 'a service app gets a token by its id and secret',
  'service-token': "that token is accepted by the gateway's own rules",
  'service-call': 'with that token it is let in at the public URL, through whatever stands in front',
  'credential-header': 'clients and services send their token in the header that is read here',
  'sdk-discovery': "Flyte's SDK finds out where to sign in, without a credential, by way of whatever stands in front",
  upstream: 'the services behind are reached and speak the protocol that is declared',
  redis: 'Redis is reached, is the primary, gives the rights that are needed, and makes no room by forgetting',
} as const;

export type CheckName = keyof typeof checks;

/** What came of looking at one thing. */
export interface Finding {
  readonly check: CheckName;
  readonly verdict: 'ok' | 'warning' | 'problem' | 'unknown';
  /** What was found: facts, never a secret. */
  readonly says: string;
  /** What to do about it. */
  readonly remedy?: string;
}

export function ok(check: CheckName, says: string): Finding {
  return { check, verdict: 'ok', says };
}

/** It works, or may work, and is probably not what was meant. */
export function warning(check: CheckName, says: string, remedy: string): Finding {
  return { check, verdict: 'warning', says, remedy };
}

/** Somebody is kept out, or let in, because of it. */
export function problem(check: CheckName, says: string, remedy: string): Finding {
  return { check, verdict: 'problem', says, remedy };
}

/** It could not be told. @param remedy how to find out */
export function unknown(check: CheckName, says: string, remedy: string): Finding {
  return { check, verdict: 'unknown', says, remedy };
}

const labels = { ok: 'ok', warning: 'warning', problem: 'problem', unknown: 'could not tell' } as const;

/** Characters of what was found and of the remedy, each. */
const MAX_SHOWN = 400;

/** One line per finding. What others sent may stand in it: control characters do not, and it has an end. */
export function writeFindings(findings: readonly Finding[]): string {
  return findings.map((finding) => `${writeFinding(finding)}\n`).join('');
}

function writeFinding({ check, verdict, says, remedy }: Finding): string {
  const advice = remedy === undefined ? '' : ` → ${plain(remedy)}`;
  return `${labels[verdict].padEnd(14)}  ${check}: ${plain(says)}${advice}`;
}

function plain(text: string): string {
  const line = text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return line.length > MAX_SHOWN ? `${line.slice(0, MAX_SHOWN - 1)}…` : line;
}

/** Whether nothing is wrong for certain: what could not be told does not count. */
export function isHealthy(findings: readonly Finding[]): boolean {
  return findings.every(({ verdict }) => verdict !== 'problem');
}

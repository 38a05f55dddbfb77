import { z } from 'zod';
import type { Config } from './config/config.ts';

/** Where a command says what it has to say. */
interface Terminal {
  /** The result. */
  readonly print: (text: string) => void;
  /** What a person should know besides. */
  readonly note: (text: string) => void;
}

const TIMEOUT_MS = 10_000;

/**
 * Prints the sessions of one person, or everybody's: a line each.
 *
 * @throws {Error} when the gateway cannot be asked, saying what to do
 */
export async function listSessions(
  config: Config,
  asked: Terminal & { readonly subject?: string; readonly issuer?: string; readonly json?: true },
): Promise<void> {
  const { subject, issuer, print, note } = asked;
  let cursor: string | undefined;
  let count = 0;
  do {
    const query = new URLSearchParams({
      ...(subject !== undefined && { subject }),
      ...(issuer !== undefined && { issuer }),
      ...(cursor !== undefined && { cursor }),
    });
    const page = pageShape.parse(await call(config, `/api/sessions?${query}`));
    if (!page.kept) {
      note('With session.store: cookie nothing is kept here, so nothing can be listed.\n');
      note('A session is ended by its name in the log (--session), or all of a person’s by --subject.\n');
      return;
    }
    if (count === 0 && page.sessions.length > 0 && !asked.json) print(`${columns(heads)}\n`);
    for (const session of page.sessions) print(`${asked.json ? JSON.stringify(session) : columns(cellsOf(session))}\n`);
    count += page.sessions.length;
    cursor = page.cursor;
  } while (cursor !== undefined);
  note(`${count} ${count === 1 ? 'session' : 'sessions'}\n`);
}

/**
 * Ends one session, those of one session at the provider, or all of a person's.
 *
 * @throws {Error} when it was not exactly one of them, or the gateway cannot be asked
 */
export async function revokeSessions(
  config: Config,
  asked: Terminal & {
    readonly session?: string;
    readonly sid?: string;
    readonly subject?: string;
    readonly issuer?: string;
  },
): Promise<void> {
  const { session, sid, subject, issuer } = asked;
  if ([session, sid, subject].filter((one) => one !== undefined).length !== 1)
    throw new Error('say which: --session HANDLE, --sid SID or --subject SUBJECT');
  await call(config, '/api/sessions/revoke', JSON.stringify({ session, sid, subject, issuer }));
  asked.print('revoked\n');
}

/** @param body posted; without one it is a GET */
async function call(config: Config, path: string, body?: string): Promise<unknown> {
  const { adminToken, server } = config;
  if (!adminToken) throw new Error('there is no admin_token in secretsDir: without it the admin API is off');
  if (server.admin.port === 0) throw new Error('server.admin has port 0: give it one that can be found again');
  const at = addressOf(server.admin);
  const answer = await fetch(`http://${at}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${adminToken.reveal()}` },
    ...(body !== undefined && { body }),
    redirect: 'error',
    signal: AbortSignal.timeout(TIMEOUT_MS),
  }).catch((cause: unknown) => {
    throw new Error(`the gateway does not answer on ${at} (server.admin): is it running on this machine?`, { cause });
  });
  const text = await answer.text();
  if (answer.status === 200) return JSON.parse(text);
  throw new Error(explain(answer.status, text, at));
}

/** Where a gateway that listens on every address is reached from its own machine. */
function addressOf({ host, port }: Config['server']['admin']): string {
  if (host === '0.0.0.0') return `127.0.0.1:${port}`;
  if (host === '::') return `[::1]:${port}`;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function explain(status: number, text: string, at: string): string {
  switch (status) {
    case 401:
      return `the gateway on ${at} has another admin_token: it takes over a new one only with settings that have no mistake (config.refused in its log)`;
    case 404:
      return `the gateway on ${at} has no admin_token, or is of another version`;
    default:
      return `the gateway on ${at} answered ${status}: ${printable(text).slice(0, 300)}`;
  }
}

const sessionShape = z.object({
  session: z.string(),
  issuer: z.string(),
  subject: z.string(),
  sid: z.string().exactOptional(),
  userAgent: z.string(),
  address: z.string(),
  startedAt: z.string(),
  seenAt: z.string(),
  endsAt: z.string(),
});

const pageShape = z.object({
  kept: z.boolean(),
  sessions: z.array(sessionShape),
  cursor: z.string().exactOptional(),
});

const heads = ['SESSION', 'SUBJECT', 'ADDRESS', 'STARTED', 'LAST SEEN', 'ENDS', 'BROWSER'];

function cellsOf(session: z.infer<typeof sessionShape>): readonly string[] {
  const { session: handle, subject, address, startedAt, seenAt, endsAt, userAgent } = session;
  return [handle, subject, address, ...[startedAt, seenAt, endsAt].map(minutes), userAgent];
}

function minutes(moment: string): string {
  return moment.replace(/:\d\d\.\d+Z$/, 'Z');
}

const widths = [16, 24, 15, 17, 17, 17, 0];

function columns(cells: readonly string[]): string {
  return cells
    .map((cell, at) => printable(cell).padEnd(widths[at] ?? 0))
    .join('  ')
    .trimEnd();
}

/** What strangers wrote (a browser's name) must not move the cursor or change the colours of a terminal. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '�');
}

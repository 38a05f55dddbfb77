import { Agent, request } from 'undici';
import type { Chance } from './chance.ts';
import type { Member } from './member.ts';
import { ADMIN_TOKEN, type Stage } from './stage.ts';

/** Somebody with a browser. */
export interface Person {
  readonly subject: string;
  readonly jar: Map<string, string>;
  /** When the sign-in began. By the stage's clock, like all that follows. */
  readonly begunAt: number;
  /** A sign-out was asked for: what becomes of them is open until it is acknowledged. */
  isLeaving: boolean;
  /** When the sign-out was acknowledged with success. */
  ackAt?: number;
  /** Not used any more. */
  isGone: boolean;
  /** By the names of the gateways: streams that are open, one name for each. */
  readonly streams: string[];
}

export interface Heard {
  readonly status: number;
  readonly location: string | undefined;
  readonly body: string;
  /** Whether it told the browser to forget its session. */
  readonly isCleared: boolean;
}

/** Everyone who uses the gateways. */
export interface People {
  readonly signedIn: Person[];
  /** Signed out, and known to be. The last fifty. */
  readonly signedOut: Person[];
  /** One request to one of the gateways; undefined when the connection broke. */
  ask(person: Person | undefined, path: string, fields?: Readonly<Record<string, string>>): Promise<Heard | undefined>;
  signIn(): Promise<Person | undefined>;
  signOut(person: Person, by: SignOutBy): Promise<void>;
  close(): Promise<void>;
}

export type SignOutBy = 'person' | 'provider' | 'operator';

const SESSION_COOKIE = '__Host-flytegate';
const BACK_CHANNEL_EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** Longer than the gateway may take for anything: provider, Redis and upstream together. */
const PATIENCE_MS = 20_000;

export function createPeople(stage: Stage, chance: Chance): People {
  const agent = new Agent({ connections: 64, headersTimeout: PATIENCE_MS, bodyTimeout: PATIENCE_MS });
  const { ledger, provider } = stage;
  const signedIn: Person[] = [];
  const signedOut: Person[] = [];
  let born = 0;
  const send = async (url: string, sent: Sent, jar?: Map<string, string>): Promise<Heard | undefined> => {
    const cookie = jar && [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { ...sent.fields, ...(cookie ? { cookie } : {}) };
    try {
      const { method = 'GET', body = null } = sent;
      const answer = await request(url, { dispatcher: agent, method, headers, body });
      const lines = [answer.headers['set-cookie'] ?? []].flat();
      const text = await answer.body.text();
      const isCleared = lines.some((line) => keep(line, jar) === 'cleared');
      return { status: answer.statusCode, location: String(answer.headers['location'] ?? ''), body: text, isCleared };
    } catch {
      // Reset, refused or out of patience: those who break things do that, and nothing was answered.
      return undefined;
    }
  };
  const anyMember = (): Member | undefined => (stage.members.length > 0 ? chance.oneOf(stage.members) : undefined);
  const toGateway = async (path: string, sent: Sent, jar?: Map<string, string>) => {
    const member = anyMember();
    return member && send(member.url + path, { ...sent, fields: { host: stage.host, ...sent.fields } }, jar);
  };
  const signIn = async (): Promise<Person | undefined> => {
    born += 1;
    const subject = `person-${born}`;
    const person: Person = {
      subject,
      jar: new Map(),
      begunAt: stage.clock.now(),
      isLeaving: false,
      isGone: false,
      streams: [],
    };
    const fields = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    const away = await toGateway(`/login?idp=${subject}&redirect_url=%2Fhealthcheck`, { fields }, person.jar);
    if (away?.status !== 302 || !away.location) return noSignIn('login', away);
    const there = await send(away.location, {});
    if (there?.status !== 302 || !there.location) return noSignIn('provider', there);
    const back = new URL(there.location);
    const home = await toGateway(back.pathname + back.search, { fields }, person.jar);
    if (home === undefined || home.status >= 400 || !person.jar.has(SESSION_COOKIE)) return noSignIn('callback', home);
    ledger.count('signed in');
    signedIn.push(person);
    return person;
  };
  const noSignIn = (where: string, heard: Heard | undefined): undefined => {
    ledger.count(`no sign-in: ${where} ${heard?.status ?? 'cut'}`);
    if (heard?.status === 500 && where !== 'provider') ledger.violate('no mistake of ours shows', { where });
  };
  const leave: Record<SignOutBy, (person: Person) => Promise<boolean>> = {
    person: async (person) => (await toGateway('/logout', {}, new Map(person.jar)))?.status === 302,
    provider: async ({ subject }) => {
      const at = Math.floor(Date.now() / 1000);
      const claims = {
        iss: provider.issuer,
        aud: 'web',
        sub: subject,
        iat: at,
        exp: at + 120,
        jti: crypto.randomUUID(),
      };
      const token = await provider.sign({ ...claims, events: { [BACK_CHANNEL_EVENT]: {} } }, { typ: 'logout+jwt' });
      const fields = { 'content-type': 'application/x-www-form-urlencoded' };
      const heard = await toGateway('/backchannel-logout', { method: 'POST', fields, body: `logout_token=${token}` });
      return heard?.status === 200;
    },
    operator: async ({ subject }) => {
      const url = `${anyMember()?.admin ?? 'http://127.0.0.1:1'}/api/sessions/revoke`;
      const fields = { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' };
      return (await send(url, { method: 'POST', fields, body: JSON.stringify({ subject }) }))?.status === 200;
    },
  };
  return {
    signedIn,
    signedOut,
    ask: (person, path, fields = {}) => toGateway(path, { fields }, person?.jar),
    signIn,
    signOut: async (person, by) => {
      person.isLeaving = true;
      const at = signedIn.indexOf(person);
      if (at >= 0) signedIn.splice(at, 1);
      // What is under way may clear the browser's cookie; a thief's copy stays.
      const jar = new Map(person.jar);
      const isDone = await leave[by](person);
      ledger.count(`sign-out by ${by}: ${isDone ? 'acknowledged' : 'not acknowledged'}`);
      // Whose sign-out may or may not have happened proves nothing any more.
      person.isGone = true;
      if (!isDone) return;
      person.ackAt = stage.clock.now();
      signedOut.push({ ...person, jar });
      if (signedOut.length > 50) signedOut.shift();
    },
    close: () => agent.destroy(),
  };
}

interface Sent {
  readonly method?: 'GET' | 'POST';
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: string;
}

function keep(line: string, jar: Map<string, string> | undefined): 'kept' | 'cleared' {
  const [pair = ''] = line.split(';');
  const at = pair.indexOf('=');
  const name = pair.slice(0, at);
  const isOver = /;\s*max-age=0\b/i.test(line);
  if (isOver) jar?.delete(name);
  else jar?.set(name, pair.slice(at + 1));
  return isOver && name === SESSION_COOKIE ? 'cleared' : 'kept';
}

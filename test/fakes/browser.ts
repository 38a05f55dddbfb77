import { request } from 'undici';

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly path: string;
}

/** An answer, and the address that it came from after all redirects. */
export interface Visited {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Every address on the way, the last one included. */
  readonly way: readonly string[];
}

/** What a person's browser does, as far as signing in needs it. */
export interface Browser {
  /** Goes to an address as a navigation does and follows redirects, at most 20. @param until stops before an address it says yes to */
  open(
    url: string,
    options?: { readonly fields?: Record<string, string>; readonly until?: (url: URL) => boolean },
  ): Promise<Visited>;
  /** Fills in the only form of a page and sends it off. */
  submit(page: Visited, values: Readonly<Record<string, string>>, until?: (url: URL) => boolean): Promise<Visited>;
  /** The `Cookie` field that goes to an address. */
  cookiesFor(url: string): string;
  /** Drops every cookie of this name. */
  forget(name: string): void;
}

/**
 * A browser without a screen: cookies by host and path (not by port, as browsers have it; Secure ones also go to loopback
 * over http), redirects, HTML forms. No script runs.
 */
export function createBrowser(): Browser {
  const jars = new Map<string, Map<string, Cookie>>();
  const cookiesFor = (at: URL) =>
    [...(jars.get(at.hostname)?.values() ?? [])]
      .filter((cookie) => at.pathname === cookie.path || at.pathname.startsWith(cookie.path.replace(/\/?$/, '/')))
      .map((cookie) => `${cookie.name}=${cookie.value}`)
      .join('; ');
  const remember = (at: URL, lines: readonly string[]) => {
    const jar = jars.get(at.hostname) ?? new Map<string, Cookie>();
    jars.set(at.hostname, jar);
    for (const line of lines) keep(jar, line);
  };
  const ask = async (url: URL, sent: Sent) => {
    const cookie = cookiesFor(url);
    const fields = { ...NAVIGATION, ...sent.fields, ...(cookie ? { cookie } : {}) };
    // Not fetch: it would say `Sec-Fetch-Mode: cors` whatever it is told.
    const response = await request(url, { method: sent.method ?? 'GET', headers: fields, body: sent.body ?? null });
    const headers = headersOf(response.headers);
    remember(url, headers.getSetCookie());
    return { status: response.statusCode, headers, text: await response.body.text() };
  };
  const visit = async (start: string, sent: Sent, until?: (url: URL) => boolean): Promise<Visited> => {
    const way: string[] = [];
    let url = new URL(start);
    for (let hop = 0; hop < 20; hop++) {
      way.push(url.href);
      const answer = await ask(url, hop === 0 ? sent : {});
      const location = answer.headers.get('location');
      if (location === null) return { url, way, ...answer };
      url = new URL(location, url);
      if (until?.(url)) return { url, way, ...answer };
    }
    throw new Error(`more than 20 redirects: ${way.join(' → ')}`);
  };
  return {
    open: (url, options = {}) => visit(url, { fields: options.fields ?? {} }, options.until),
    submit: (page, values, until) => {
      const { action, hidden } = formOf(page);
      const body = new URLSearchParams({ ...hidden, ...values }).toString();
      const fields = { 'content-type': 'application/x-www-form-urlencoded', origin: page.url.origin };
      return visit(action, { method: 'POST', body, fields }, until);
    },
    cookiesFor: (url) => cookiesFor(new URL(url)),
    forget: (name) => {
      for (const jar of jars.values()) for (const [key, cookie] of jar) if (cookie.name === name) jar.delete(key);
    },
  };
}

/** One request: the first of a visit may be a form, redirects are plain. */
interface Sent {
  readonly method?: 'POST';
  readonly body?: string;
  readonly fields?: Readonly<Record<string, string>>;
}

const NAVIGATION = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html,*/*;q=0.8' };

function headersOf(received: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(received))
    for (const one of [value ?? []].flat()) headers.append(name, one);
  return headers;
}

function keep(jar: Map<string, Cookie>, line: string): void {
  const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
  const name = pair.slice(0, pair.indexOf('='));
  const attribute = (wanted: string) =>
    attributes.find((one) => one.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
  const path = attribute('path') ?? '/';
  const expires = attribute('expires');
  const isOver = Number(attribute('max-age') ?? 1) <= 0 || (expires !== undefined && Date.parse(expires) <= Date.now());
  if (isOver) jar.delete(`${name} ${path}`);
  else jar.set(`${name} ${path}`, { name, value: pair.slice(name.length + 1), path });
}

function formOf(page: Visited): { action: string; hidden: Record<string, string> } {
  const action = /<form[^>]*\saction="([^"]*)"/.exec(page.text)?.[1];
  if (action === undefined) throw new Error(`no form on ${page.url.href} (${page.status}): ${page.text.slice(0, 300)}`);
  const hidden: Record<string, string> = {};
  for (const [input] of page.text.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1];
    if (name !== undefined) hidden[name] = /value="([^"]*)"/.exec(input)?.[1] ?? '';
  }
  return { action: new URL(action.replaceAll('&amp;', '&'), page.url).href, hidden };
}

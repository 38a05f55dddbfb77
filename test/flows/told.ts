import type { Received } from '../fakes/echo-upstream.ts';

/** Names by which a service behind is told something. */
const told = /^(x-(auth-request|amzn-oidc|user|flytegate)-|authorization$|flyte-authorization$)/i;

/** What the gateway told a service behind, in order: names as they came, values read as UTF-8. */
export function toldOf({ fields }: Received): readonly (readonly [name: string, value: string])[] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (told.test(name)) pairs.push([name, Buffer.from(fields[i + 1] ?? '', 'latin1').toString()]);
  }
  return pairs;
}

/** The only value of a field. @throws when there are more */
export function oneOf(received: Received, name: string): string | undefined {
  const [value, second] = toldOf(received)
    .filter(([one]) => one.toLowerCase() === name)
    .map(([, text]) => text);
  if (second !== undefined) throw new Error(`${name} came more than once`);
  return value;
}

/** Upstreams at one address, each with settings of its own, and a route `/<name>` to each. */
export function upstreamsAt(url: string, each: Readonly<Record<string, Readonly<Record<string, unknown>>>>) {
  return {
    upstreams: Object.fromEntries(Object.entries(each).map(([name, settings]) => [name, { url, ...settings }])),
    routes: Object.keys(each).map((name) => ({ path: `/${name}`, upstream: name })),
  };
}

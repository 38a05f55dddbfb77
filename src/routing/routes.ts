import type { RouteSetting } from '../config/config.ts';

export type Route = RouteSetting;

/**
 * Finds the route of a request: hosts exact first, then by the longest wildcard, then routes for every host; among those of
 * one host the longest path prefix on segment borders (`/a` matches `/a` and `/a/…`, not `/ab`; `/a/` only `/a/…`). A path
 * that ends in a dot is a protobuf package: `/a.` also matches `/a.b.Service/…`. A host whose own routes all miss the path
 * falls through to the next in this order.
 *
 * A path that leads to another route when its escapes are decoded, `;parameters` removed, or all from an encoded `?` or `#`
 * on, is on no route: an upstream that reads it that way would serve what another rule guards.
 *
 * @param host as the request named it, in any case, with or without a port
 * @param path judged by `parseTarget` before
 */
export type FindRoute = (host: string, path: string) => Route | undefined;

/** Indexes routes so that finding one costs the length of host and path, however many routes there are. */
export function createRoutes(routes: readonly RouteSetting[]): FindRoute {
  const byHost = new Map<string, Branch>();
  for (const route of routes) {
    const host = route.host ?? everyHost;
    const root = byHost.get(host) ?? createBranch();
    byHost.set(host, root);
    plant(root, route);
  }
  return (host, path) => {
    const roots = rootsFor(byHost, bareHost(host));
    const route = routeAmong(roots, path);
    return otherReadings(path).every((reading) => routeAmong(roots, reading) === route) ? route : undefined;
  };
}

/** Routes for every host stand under a name that no host can have. */
const everyHost = '';

/** One segment of the paths of a host's routes. */
interface Branch {
  readonly children: Map<string, Branch>;
  /** Route whose path ends here. */
  here?: Route;
  /** Route whose path ends here with a slash: only for what is below. */
  below?: Route;
  /** Routes whose last segment ends in a dot, by that segment, the longest first. */
  packages: readonly (readonly [segment: string, route: Route])[];
}

function createBranch(): Branch {
  return { children: new Map(), packages: [] };
}

function plant(root: Branch, route: Route): void {
  let branch = root;
  let parent = root;
  let last = '';
  for (const segment of route.path.split('/')) {
    if (segment === '') continue;
    const child = branch.children.get(segment) ?? createBranch();
    branch.children.set(segment, child);
    parent = branch;
    branch = child;
    last = segment;
  }
  if (route.path.endsWith('.'))
    parent.packages = [...parent.packages, [last, route] as const].sort(([a], [b]) => b.length - a.length);
  // The first of two equal routes stands; the settings are checked for such pairs before.
  if (route.path.endsWith('/')) branch.below ??= route;
  else branch.here ??= route;
}

/** The trees to search, the most specific host first. */
function rootsFor(byHost: ReadonlyMap<string, Branch>, host: string): readonly Branch[] {
  const roots: Branch[] = [];
  const add = (name: string) => {
    const root = byHost.get(name);
    if (root) roots.push(root);
  };
  if (byHost.size > 1 || !byHost.has(everyHost)) {
    if (host !== everyHost) add(host);
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) add(`*${host.slice(dot)}`);
  }
  add(everyHost);
  return roots;
}

function routeAmong(roots: readonly Branch[], path: string): Route | undefined {
  for (const root of roots) {
    const route = routeIn(root, path);
    if (route) return route;
  }
  return undefined;
}

function routeIn(root: Branch, path: string): Route | undefined {
  let branch: Branch | undefined = root;
  let found = root.here ?? root.below;
  for (let slash = 0; branch && branch.children.size > 0 && slash !== -1 && slash + 1 < path.length; ) {
    const next = path.indexOf('/', slash + 1);
    const segment = path.slice(slash + 1, next === -1 ? undefined : next);
    if (branch.packages.length > 0) found = packageOf(branch, segment) ?? found;
    branch = branch.children.get(segment);
    found = (next === -1 ? undefined : branch?.below) ?? branch?.here ?? found;
    slash = next;
  }
  return found;
}

function packageOf({ packages }: Branch, segment: string): Route | undefined {
  return packages.find(([prefix]) => segment.startsWith(prefix))?.[1];
}

/** What less careful readers could take the path for; empty for nearly every path. */
function otherReadings(path: string): readonly string[] {
  const isEncoded = path.includes('%');
  if (!isEncoded && !path.includes(';')) return [];
  const decoded = isEncoded ? decodeURIComponent(path) : path;
  const readings = [decoded, withoutParameters(path), withoutParameters(decoded)];
  // Neither stands in a path but encoded, nor in the path of a route.
  const mark = decoded.search(/[?#]/);
  if (mark === -1) return readings;
  const cut = decoded.slice(0, mark);
  return [...readings, cut, withoutParameters(cut)];
}

function withoutParameters(path: string): string {
  return path.replace(/;[^/]*/g, '');
}

/** The host in lower case without its port and without the dot of a fully qualified name. */
function bareHost(host: string): string {
  const lower = host.toLowerCase();
  const colon = lower.endsWith(']') ? -1 : lower.lastIndexOf(':');
  const name = colon === -1 ? lower : lower.slice(0, colon);
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

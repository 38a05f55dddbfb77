import type { Mistake } from './mistake.ts';
import type { Parsed } from './values.ts';

/** Which stock control plane stands behind. */
export type PresetName = 'flyte1' | 'flyte2';

interface Preset {
  /** Upstreams that have to be there, each with the URL that a stock installation has. */
  readonly upstreams: Readonly<Record<string, string>>;
  /** Settings of upstreams, unless the file has its own. */
  readonly defaults: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** Routes to upstreams that are there. */
  readonly routes: readonly {
    readonly path: string;
    readonly upstream: string;
    readonly access: 'authenticated' | 'public' | 'nobody';
  }[];
  /** Where people go who signed in without having wanted anything, when this upstream is there. */
  readonly startPage: { readonly path: string; readonly upstream: string };
}

// The paths are those of Flyte's own charts, less what the gateway answers itself. Of two presets the first says where
// people start.
const presets: Readonly<Record<PresetName, Preset>> = {
  flyte2: {
    upstreams: { flyte2: 'http://flyte-binary-http:8090' },
    defaults: { flyte2: { identityHeaders: ['alb', 'auth-request'] } },
    routes: [
      { path: '/flyteidl2.', upstream: 'flyte2', access: 'authenticated' },
      // By these Flyte's own parts talk to each other: on the same port, and they authorise nobody. Its chart's ingress
      // leaves them out, its SDK has no client for them.
      { path: '/flyteidl2.workflow.InternalRunService', upstream: 'flyte2', access: 'nobody' },
      { path: '/flyteidl2.workflow.EventsProxyService', upstream: 'flyte2', access: 'nobody' },
      { path: '/flyteidl2.cacheservice.', upstream: 'flyte2', access: 'nobody' },
      { path: '/healthz', upstream: 'flyte2', access: 'public' },
      { path: '/readyz', upstream: 'flyte2', access: 'public' },
      { path: '/v2', upstream: 'flyte2-console', access: 'authenticated' },
    ],
    startPage: { path: '/v2', upstream: 'flyte2-console' },
  },
  flyte1: {
    upstreams: { flyte1: 'http://flyteadmin:80', 'flyte1-grpc': 'h2c://flyteadmin:81' },
    defaults: {
      flyte1: { identityHeaders: ['flyteadmin', 'auth-request'] },
      'flyte1-grpc': { identityHeaders: ['flyteadmin', 'auth-request'] },
    },
    routes: [
      { path: '/flyteidl.service.', upstream: 'flyte1-grpc', access: 'authenticated' },
      { path: '/grpc.health.v1.Health', upstream: 'flyte1-grpc', access: 'authenticated' },
      { path: '/api', upstream: 'flyte1', access: 'authenticated' },
      { path: '/v1', upstream: 'flyte1', access: 'authenticated' },
      { path: '/healthcheck', upstream: 'flyte1', access: 'public' },
      { path: '/console', upstream: 'flyte1-console', access: 'authenticated' },
    ],
    startPage: { path: '/console', upstream: 'flyte1-console' },
  },
};

/** `flyte2` or `flyte1`. */
export function parsePreset(text: string): Parsed<PresetName> {
  return isPreset(text) ? { value: text } : { wrong: '' };
}

/**
 * A settings file's content with what its presets add: routes after its own, defaults of upstreams, the start page.
 * Whatever the file says itself stands: a setting, a route for every host with the same path, a longer path.
 *
 * @returns content that is judged like any other, and the upstreams that a preset misses
 */
export function expandPresets(content: unknown): { readonly content: unknown; readonly mistakes: readonly Mistake[] } {
  const names = isRecord(content) ? presetsOf(content['preset']) : [];
  if (!isRecord(content) || names.length === 0) return { content, mistakes: [] };
  const chosen = names.map((name) => ({ name, preset: presets[name] }));
  const own = isRecord(content['upstreams']) ? content['upstreams'] : {};
  const missing = chosen.flatMap(({ name, preset }) =>
    Object.entries(preset.upstreams)
      .filter(([upstream]) => !Object.hasOwn(own, upstream))
      .map(([upstream, url]) => ({ name, upstream, url })),
  );
  // They stand in for what is missing, so that all else is judged; the mistakes keep them from being used.
  const standIns = Object.fromEntries(missing.map(({ upstream, url }) => [upstream, { url }]));
  const upstreams = withDefaults({ ...own, ...standIns }, chosen);
  const expanded = {
    ...content,
    upstreams,
    routes: withRoutes(content['routes'], chosen, upstreams),
    auth: withStartPage(content['auth'], chosen, upstreams),
  };
  return { content: expanded, mistakes: missing.map(missingUpstream) };
}

type Chosen = readonly { readonly name: PresetName; readonly preset: Preset }[];
type Content = Readonly<Record<string, unknown>>;

function presetsOf(written: unknown): readonly PresetName[] {
  const names: readonly unknown[] = Array.isArray(written) ? written : [written];
  return [...new Set(names.filter(isPreset))];
}

function isPreset(name: unknown): name is PresetName {
  return typeof name === 'string' && Object.hasOwn(presets, name);
}

function withDefaults(upstreams: Content, chosen: Chosen): Content {
  const result: Record<string, unknown> = { ...upstreams };
  for (const { preset } of chosen) {
    for (const [upstream, defaults] of Object.entries(preset.defaults)) {
      const section = upstreams[upstream] ?? {};
      if (!isRecord(section)) continue; // a mistake of its own
      result[upstream] = { ...defaults, ...section };
    }
  }
  return result;
}

function withRoutes(written: unknown, chosen: Chosen, upstreams: Content): unknown {
  if (written !== undefined && written !== null && !Array.isArray(written)) return written; // a mistake of its own
  const own: readonly unknown[] = written ?? [];
  const taken = new Set(
    own.flatMap((route) => (isRecord(route) && route['host'] === undefined ? [route['path']] : [])),
  );
  const added = chosen.flatMap(({ preset }) => preset.routes);
  return [...own, ...added.filter(({ path, upstream }) => !taken.has(path) && Object.hasOwn(upstreams, upstream))];
}

function withStartPage(written: unknown, chosen: Chosen, upstreams: Content): unknown {
  const auth = written ?? {};
  const userAuth = isRecord(auth) ? (auth['userAuth'] ?? {}) : undefined;
  const start = chosen.find(({ preset }) => Object.hasOwn(upstreams, preset.startPage.upstream))?.preset.startPage;
  if (!isRecord(auth) || !isRecord(userAuth) || !start) return written;
  const redirectUrl = userAuth['redirectUrl'] ?? start.path;
  return { ...auth, userAuth: { ...userAuth, redirectUrl } };
}

function missingUpstream({ name, upstream, url }: { name: PresetName; upstream: string; url: string }): Mistake {
  return {
    path: ['upstreams', upstream],
    expected: `an upstream of this name, where preset: ${name} sends requests`,
    found: 'nothing',
    hint: `${upstream}: { url: ${url} } in a stock installation`,
  };
}

function isRecord(value: unknown): value is Content {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { freePort } from '../fakes/nginx.ts';
import { endLater, type FakeRig, type RigOptions, startFakeRig } from './rig.ts';

/** A gateway with apps beside it, all on one port: `flyte.`, `app.`, `other.` and `*.apps.` under `example.localhost`. */
export interface AppStage {
  readonly rig: FakeRig;
  /** Behind every route. */
  readonly upstream: EchoUpstream;
  readonly port: number;
  /** `http://<name>.example.localhost:<port>`. */
  at(name: string): string;
}

/** The hosts share the session unless the settings say otherwise. */
export async function startAppStage(settings: RigOptions['settings'] = {}): Promise<AppStage> {
  const upstream = await startEchoUpstream();
  endLater(upstream.close);
  const port = await freePort();
  const at = (name: string) => `http://${name}.example.localhost:${port}`;
  const route = (host: string, more: object = {}) => {
    const place = { host: `${host}.example.localhost`, path: '/', upstream: 'control-plane' };
    return { ...place, access: 'authenticated', ...more };
  };
  const rig = await startFakeRig({
    upstream: upstream.url,
    publicUrl: at('flyte'),
    settings: {
      'server.listen': `127.0.0.1:${port}`,
      'auth.userAuth.cookieSetting.domain': 'example.localhost',
      routes: [
        route('app'),
        route('app', { path: '/open', access: 'public' }),
        route('other'),
        route('public', { access: 'public' }),
        route('*.apps'),
        { path: '/', upstream: 'control-plane', access: 'authenticated' },
      ],
      ...settings,
    },
  });
  return { rig, upstream, port, at };
}

import { type EchoUpstream, startEchoUpstream } from '../fakes/echo-upstream.ts';
import { freePort, type Nginx, startNginx } from '../fakes/nginx.ts';
import { endLater, type FakeRig, type Rig, type RigOptions, startFakeRig } from './rig.ts';

/**
 * A gateway whose public URL is that of a real nginx in front of it, with the example's settings.
 *
 * @param needs.path     nginx's executable
 * @param needs.start    makes the gateway, with these options added to its own
 * @param needs.site     what nginx does instead of the example
 * @param needs.cacheKey turns nginx's own cache of checks on; a string takes the place of the example's key
 */
export async function startBehindNginx<R extends Rig>(needs: {
  readonly path: string;
  readonly start: (options: RigOptions) => Promise<R>;
  readonly site?: string;
  readonly cacheKey?: string | true;
}): Promise<{ readonly rig: R; readonly front: Nginx }> {
  // nginx takes no port 0, and somebody may take the one that was free a moment ago.
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const publicUrl = `http://localhost:${port}`;
    const settings = { 'server.trustedProxies': ['127.0.0.1/32'], 'auth.authorizedUris': [] };
    const rig = await needs.start({ publicUrl, settings });
    const ports = { gateway: rig.port, upstream: Number(new URL(rig.upstream).port), port };
    try {
      const { path, site, cacheKey } = needs;
      const changes = { ...(site !== undefined && { site }), ...(cacheKey !== undefined && { cacheKey }) };
      const front = await startNginx({ path, ...ports, ...changes });
      endLater(front.stop);
      return { rig, front };
    } catch (cause) {
      if (attempt === 3) throw cause;
    }
  }
}

/** The same with a service behind that keeps what arrives, for both nginx and the gateway. */
export async function startEchoBehindNginx(
  path: string,
  site?: string,
): Promise<{ readonly rig: FakeRig; readonly front: Nginx; readonly upstream: EchoUpstream }> {
  const upstream = await startEchoUpstream();
  endLater(upstream.close);
  const start = (options: RigOptions) => startFakeRig({ ...options, upstream: upstream.url });
  const started = await startBehindNginx({ path, start, ...(site !== undefined && { site }) });
  return { ...started, upstream };
}

import { freePort, type Nginx, startNginx } from '../fakes/nginx.ts';
import { endLater, type Rig, type RigOptions } from './rig.ts';

/**
 * A gateway whose public URL is that of a real nginx in front of it, with the example's settings.
 *
 * @param needs.path     nginx's executable
 * @param needs.start    makes the gateway, with these options added to its own
 * @param needs.cacheKey turns nginx's own cache of checks on; a string takes the place of the example's key
 */
export async function startBehindNginx<R extends Rig>(needs: {
  readonly path: string;
  readonly start: (options: RigOptions) => Promise<R>;
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
      const { path, cacheKey } = needs;
      const front = await startNginx({ path, ...ports, ...(cacheKey !== undefined && { cacheKey }) });
      endLater(front.stop);
      return { rig, front };
    } catch (cause) {
      if (attempt === 3) throw cause;
    }
  }
}

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, listening } from './port.ts';
import type { Stage } from './stage.ts';

/** An nginx with one worker. */
export interface RunningNginx {
  readonly pid: number;
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * Starts nginx in a single process, without access log.
 *
 * @param site.path     nginx's executable
 * @param site.server   what stands in the server block, besides `listen`
 * @param site.http     what stands before it: upstream blocks
 * @param site.isHttp2  whether the port speaks cleartext HTTP/2
 */
export async function startNginx(
  stage: Stage,
  side: 'server' | 'client',
  site: { readonly path: string; readonly server: string; readonly http?: string; readonly isHttp2?: boolean },
): Promise<RunningNginx> {
  const port = await freePort();
  const folder = join(stage.folder, `nginx-${port}`);
  await mkdir(folder);
  const file = join(folder, 'nginx.conf');
  await writeFile(file, settings(folder, { ...site, listen: `127.0.0.1:${port}${site.isHttp2 ? ' http2' : ''}` }));
  const server = await stage.start(
    side,
    { command: site.path, args: ['-p', folder, '-c', file] },
    // Said in its notices just before it begins to accept.
    /using the "epoll" event method|start worker process/,
  );
  await listening(port, 'nginx');
  return { pid: server.pid, port, stop: server.stop };
}

function settings(folder: string, site: { server: string; http?: string; listen: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr notice;
events { worker_connections 4096; }
http {
access_log off; keepalive_requests 1000000000;
${temporary.map((one) => `${one}_temp_path ${folder}/${one};`).join(' ')}
${site.http ?? ''}
server { listen ${site.listen}; ${site.server} }
}
`;
}

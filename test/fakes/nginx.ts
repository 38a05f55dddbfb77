import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { spawnBound } from './bound-child.ts';
import { freePort } from './free-port.ts';

export { freePort } from './free-port.ts';

export interface Nginx {
  /** Where browsers, curl and WebSockets go. */
  readonly url: string;
  /** Where gRPC goes (cleartext HTTP/2). */
  readonly grpcUrl: string;
  /** What nginx wrote to its error log. */
  errors(): Promise<string>;
  /** Has it serve another site from now on (SIGHUP): what has begun goes on as it began. */
  reload(site: string): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Runs `config/nginx/flytegate.conf` as it is, with ports put in, as a process of its own in a temporary folder.
 *
 * @param options.path        nginx's executable
 * @param options.gateway     port of the gateway on 127.0.0.1
 * @param options.upstream    port of the control plane on 127.0.0.1
 * @param options.port        public port; a free one unless the gateway's settings had to name it before
 * @param options.site        what stands in the http block instead of the example, with the example's ports
 * @param options.cacheKey    turns nginx's own cache of checks on; a string takes the place of the example's key
 */
export async function startNginx(options: {
  readonly path: string;
  readonly gateway: number;
  readonly upstream: number;
  readonly port?: number;
  readonly site?: string;
  readonly cacheKey?: string | true;
}): Promise<Nginx> {
  const port = options.port ?? (await freePort());
  const grpcPort = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'flytegate-nginx-'));
  const example =
    options.site ?? (await readFile(join(import.meta.dirname, '../../config/nginx/flytegate.conf'), 'utf8'));
  const write = (text: string) => {
    const site = text
      .replaceAll('127.0.0.1:8080', `127.0.0.1:${options.gateway}`)
      .replaceAll('127.0.0.1:8090', `127.0.0.1:${options.upstream}`)
      .replaceAll('localhost:8000', `localhost:${port}`)
      .replace('listen 8000;', `listen 127.0.0.1:${port};`)
      .replace('listen 8001 http2;', `listen 127.0.0.1:${grpcPort} http2;`);
    return writeFile(join(folder, 'nginx.conf'), whole(folder, cached(site, folder, options.cacheKey)));
  };
  await write(example);
  // By SIGTERM, at which it ends its workers.
  const child = spawnBound(options.path, ['-p', folder, '-c', join(folder, 'nginx.conf')], { orphanedBy: 'SIGTERM' });
  child.stdout.resume();
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  await untilListening(child, port, () => complaint);
  return {
    url: `http://localhost:${port}`,
    grpcUrl: `http://localhost:${grpcPort}`,
    errors: () => readFile(join(folder, 'error.log'), 'utf8'),
    reload: async (site) => {
      await write(site);
      child.kill('SIGHUP');
    },
    stop: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function cached(site: string, folder: string, key: string | true | undefined): string {
  if (key === undefined) return site;
  const on = site.replaceAll('#cache ', '').replaceAll('/var/cache/nginx/flytegate', join(folder, 'cache'));
  return key === true ? on : on.replaceAll(/proxy_cache_key "[^"]*";/g, `proxy_cache_key "${key}";`);
}

function whole(folder: string, site: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((one) => `${one}_temp_path ${folder}/${one};`);
  // As root, nginx's workers become somebody else, who may not look into our folder.
  const user = process.getuid?.() === 0 ? 'user root;' : '';
  return `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log info;
events { worker_connections 512; }
http { access_log off; ${temp.join(' ')}
${site}
}
`;
}

/** Programs like nginx do not say when they are ready: the port is asked until it answers, for ten seconds at most. */
export async function untilListening(child: ChildProcess, port: number, complaint: () => string): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (child.exitCode !== null) throw new Error(`the program did not start: ${complaint()}`);
    if (await answers(port)) return;
    await sleep(20);
  }
  child.kill('SIGKILL');
  throw new Error(`the program did not listen in time: ${complaint()}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // Not yet.
    socket.once('error', () => resolve(false));
  });
}

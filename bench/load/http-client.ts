import { Client } from 'undici';
import type { HttpLoad } from './http.ts';

// The load generator where wrk is not installed. argv: JSON of an HttpLoad with `seconds`. Prints answers per second.

const load: HttpLoad & { readonly seconds: number } = JSON.parse(process.argv[2] ?? '');
const { origin, pathname: path } = new URL(load.url);
const startedAt = performance.now();
const until = startedAt + load.seconds * 1000;

const counts = await Promise.all(Array.from({ length: load.connections }, keepAsking));
const total = counts.reduce((sum, count) => sum + count, 0);
process.stdout.write(`${(total / (performance.now() - startedAt)) * 1000}\n`);

async function keepAsking(): Promise<number> {
  const client = new Client(origin);
  let count = 0;
  for (; performance.now() < until; count++) {
    const { statusCode, body } = await client.request({ path, method: 'GET', headers: load.headers });
    await body.dump();
    if (statusCode < 200 || statusCode > 299) throw new Error(`${load.url} answered ${statusCode}`);
  }
  await client.close();
  return count;
}

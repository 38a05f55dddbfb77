import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Pool } from 'undici';
import { publicUrl } from '../provider.ts';
import { createSessionMaker, sessionCookieName } from '../sessions.ts';

// Comes once as each of many people, then again as the first thousand. argv: JSON of the job.

const job: { readonly url: string; readonly secrets: string; readonly issuer: string; readonly decisions: number } =
  JSON.parse(process.argv[2] ?? '');
const key = (name: string) => readFileSync(join(job.secrets, name), 'utf8').trim();
const keys = { cookie_hash_key: key('cookie_hash_key'), cookie_block_key: key('cookie_block_key') };
const sessions = createSessionMaker(keys, job.issuer);
const { origin, pathname: path } = new URL(job.url);
const host = new URL(publicUrl).host;
const pool = new Pool(origin, { connections: 16 });

const first: string[] = [];
let next = 0;
await Promise.all(Array.from({ length: 16 }, comeAsOthers));
for (const cookie of first) await come(cookie);
await pool.close();

async function comeAsOthers(): Promise<void> {
  while (next < job.decisions) {
    const person = `person-${next++}`;
    const cookie = await sessions.seal(person, 1024);
    if (first.length < 1000) first.push(cookie);
    await come(cookie);
  }
}

async function come(cookie: string): Promise<void> {
  const headers = { host, cookie: `${sessionCookieName}=${cookie}` };
  const { statusCode, body } = await pool.request({ path, method: 'GET', headers });
  await body.dump();
  if (statusCode !== 200) throw new Error(`/me answered ${statusCode}`);
}

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

/** Below are the ports of services, and those that browsers refuse. */
const LOWEST = 10_240;
const HIGHEST = 65_535;
/** What Linux gives out unless it is told otherwise; other systems begin higher. */
const USUALLY_GIVEN: Range = [32_768, 60_999];
/** So many for each process. */
const SLICE = 64;

type Range = readonly [from: number, to: number];

let given = 0;

/**
 * A port of 127.0.0.1 for programs that cannot ask the system for one themselves, or that have to find the same one again
 * after they were gone.
 *
 * It is none of those that the system gives to listeners on port 0 and to every outgoing connection, and each process takes
 * from a slice of its own: nobody is given it while nobody listens there.
 *
 * @throws when all are taken
 */
export async function freePort(): Promise<number> {
  const [from, to] = outside(givenBySystem());
  const slices = Math.max(1, Math.floor((to - from + 1) / SLICE));
  const start = (process.pid % slices) * SLICE;
  for (let tries = 0; tries <= to - from; tries += 1) {
    const port = from + ((start + given) % (to - from + 1));
    given += 1;
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${from} to ${to} is free`);
}

/** The wider side of what is left; where nothing is left all of it, as there is nothing better. */
function outside([from, to]: Range): Range {
  const [below, above] = [from - LOWEST, HIGHEST - to];
  if (Math.max(below, above) < SLICE) return [LOWEST, HIGHEST];
  return below >= above ? [LOWEST, from - 1] : [to + 1, HIGHEST];
}

function givenBySystem(): Range {
  try {
    const [from, to] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
    return [from ?? USUALLY_GIVEN[0], to ?? USUALLY_GIVEN[1]];
  } catch {
    // Not Linux.
    return USUALLY_GIVEN;
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  try {
    probe.listen(port, '127.0.0.1');
    await once(probe, 'listening');
    probe.close();
    await once(probe, 'close');
    return true;
  } catch {
    // Taken: the next one will do.
    return false;
  }
}

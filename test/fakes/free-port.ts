import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below are the ports of services, and those that browsers refuse. */
const LOWEST = 10_240;
const HIGHEST = 65_535;
/** What Linux gives out unless it is told otherwise; other systems begin higher. */
const USUALLY_GIVEN: Range = [32_768, 60_999];
/** Fewer are no room. */
const LEAST = 1000;
/** A file for each port that some process has, as long as that lives; what a killed one leaves behind costs one port. */
const taken = join(tmpdir(), `flytegate-test-ports-${process.getuid?.() ?? 0}`);

type Range = readonly [from: number, to: number];

const ours: string[] = [];

/**
 * A port of 127.0.0.1 for programs that cannot ask the system for one themselves, or that have to find the same one again
 * after they were gone.
 *
 * It is none of those that the system gives to listeners on port 0 and to every outgoing connection, and no other process is
 * given it by this function while this one lives: nobody gets it while nobody listens there.
 *
 * @throws when all are taken
 */
export async function freePort(): Promise<number> {
  const [from, to] = outside(givenBySystem());
  const count = to - from + 1;
  const first = randomInt(count);
  for (let tries = 0; tries < count; tries += 1) {
    const port = from + ((first + tries) % count);
    if (take(port) && (await isFree(port))) return port;
  }
  throw new Error(`no port from ${from} to ${to} is free`);
}

/** Whether the port is this process's from now on. */
function take(port: number): boolean {
  const file = join(taken, String(port));
  mkdirSync(taken, { recursive: true });
  try {
    closeSync(openSync(file, 'wx'));
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') return false;
    throw cause;
  }
  if (ours.length === 0) process.once('exit', giveBack);
  ours.push(file);
  return true;
}

function giveBack(): void {
  for (const file of ours) rmSync(file, { force: true });
}

/** The wider side of what is left; where nothing is left all of it, as there is nothing better. */
function outside([from, to]: Range): Range {
  const [below, above] = [from - LOWEST, HIGHEST - to];
  if (Math.max(below, above) < LEAST) return [LOWEST, HIGHEST];
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

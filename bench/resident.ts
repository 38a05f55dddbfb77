import { readFileSync } from 'node:fs';

/** Resident memory of a process in MiB; undefined on other systems than Linux, which do not tell. */
export function residentMiB(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kib === undefined ? undefined : Number(kib) / 1024;
  } catch {
    // Another system than Linux: the measure is left out.
    return undefined;
  }
}

/** Asks a process through its debugger to collect its garbage, and waits until it has done so. */
export async function collectGarbage(url: string): Promise<void> {
  const socket = new WebSocket(url);
  await new Promise<void>((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify({ id: 1, method: 'HeapProfiler.collectGarbage' }));
    socket.onmessage = () => resolve();
    socket.onerror = () => reject(new Error(`no debugger at ${url}`));
  });
  socket.close();
}

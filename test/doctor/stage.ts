import { chmod } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { parseDocument } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { examine, type OtherApp } from '../../src/doctor/doctor.ts';
import { type CheckName, type Finding, writeFindings } from '../../src/doctor/finding.ts';
import { leastSettings, makeSettingsFolder, secretFiles } from '../config/settings-folder.ts';

const undo: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const one of undo.reverse()) await one();
});

/** Has something end with the file. */
export function endLater(end: () => Promise<unknown>): void {
  undo.push(end);
}

/** What the doctor found. */
export interface Examined {
  readonly findings: readonly Finding[];
  readonly text: string;
  /** The findings of one check, as they are written. */
  of(check: CheckName): string;
}

export interface Patient {
  readonly issuer: string;
  /** Settings to change or add, by their path. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly files?: Readonly<Record<string, string>>;
  /** Tries a service app with this id and secret. */
  readonly app?: { readonly clientId: string; readonly secret: string };
  readonly now?: () => number;
}

/** Looks at the least settings there are, with some changes. */
export async function look({ issuer, settings = {}, files = {}, app, now = Date.now }: Patient): Promise<Examined> {
  const document = parseDocument(leastSettings);
  const all = { 'auth.userAuth.openId.baseUrl': issuer, 'auth.timeout': '2s', ...settings };
  for (const [path, value] of Object.entries(all)) document.setIn(path.split('.'), document.createNode(value));
  const written = { ...secretFiles, 'secrets/oidc_client_secret': 'correct horse battery staple', ...files };
  const withApp = app ? { ...written, 'app-secret': app.secret } : written;
  const { folder, file, remove } = await makeSettingsFolder(document.toString(), withApp);
  endLater(remove);
  for (const name of Object.keys(withApp)) await chmod(join(folder, name), name.startsWith('open/') ? 0o644 : 0o600);
  const other: { app?: OtherApp } = app
    ? { app: { clientId: app.clientId, secretFile: join(folder, 'app-secret') } }
    : {};
  return examined(await examine(await loadConfig(file), { now, ...other }));
}

export function examined(findings: readonly Finding[]): Examined {
  return {
    findings,
    text: writeFindings(findings),
    of: (check) => writeFindings(findings.filter((finding) => finding.check === check)),
  };
}

/** A little server on a free port of 127.0.0.1. @returns host and port */
export async function serve(listener: RequestListener | Server | NetServer): Promise<string> {
  const server = typeof listener === 'function' ? createServer(listener) : listener;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endLater(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

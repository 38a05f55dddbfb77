import { createServer, type ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import { announce } from './announce.ts';

// The barest forward that undici can do: fields as they are, no checks, no limits, no waiting. argv: origin of the upstream.

const pool = new Pool(process.argv[2] ?? '', { headersTimeout: 60_000, bodyTimeout: 0 });

class Passage implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;

  constructor(response: ServerResponse) {
    this.#response = response;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: unknown, status: number, headers: Record<string, string | string[]>): void {
    this.#response.writeHead(status, headers);
  }

  onResponseData(_controller: unknown, chunk: Buffer): void {
    this.#response.write(chunk);
  }

  onResponseEnd(): void {
    this.#response.end();
  }

  onResponseError(): void {
    this.#response.destroy();
  }
}

const server = createServer((request, response) => {
  const { url: path = '/', rawHeaders: headers } = request;
  pool.dispatch({ path, method: 'GET', headers, body: null }, new Passage(response));
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));

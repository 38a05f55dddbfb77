import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { announce } from './announce.ts';

// The barest node:http server: one answer, known before, to whoever asks. argv: a file with {fields, body}.

const answer: { readonly fields: string[]; readonly body: string } = JSON.parse(
  readFileSync(process.argv[2] ?? '', 'latin1'),
);

const server = createServer((_request, response) => {
  response.writeHead(200, answer.fields);
  // With the head in one write, as Node does with strings.
  response.end(answer.body, 'latin1');
});
server.listen({ host: '127.0.0.1', port: 0, backlog: 1024 }, () => announce(server));

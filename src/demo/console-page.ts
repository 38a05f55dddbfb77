import type { Page } from './page.ts';

/** The demo's console: who you are by the gateway, what reaches a service behind it, and the four ways of talking to one. */
export const consolePage: Page = {
  title: 'Flyte console – demo',
  wide: true,
  body: `<header><div><h1>Demo control plane</h1><p>You reached it through flytegate.</p></div>
<nav><a href="/sessions">Sessions</a> <a class="button" href="/logout">Sign out</a></nav></header>
<div class="grid">
<section aria-labelledby="who"><h2 id="who">Who you are: <code>/me</code></h2><table id="me" aria-live="polite"></table></section>
<section aria-labelledby="seen"><h2 id="seen">What the service is told</h2><table id="identity" aria-live="polite"></table></section>
<section aria-labelledby="ticker"><h2 id="ticker">Server-sent events</h2><pre id="ticks"></pre></section>
<section aria-labelledby="socket"><h2 id="socket">WebSocket echo: <span id="socket-state">connecting</span></h2>
<form id="say" class="row"><input id="text" aria-label="Message" value="hello" maxlength="1000"><button>Send</button></form><pre id="echo" aria-live="polite"></pre></section>
<section aria-labelledby="rpc"><h2 id="rpc">Connect call: <code>EchoService/Unary</code></h2>
<button id="call" type="button">Call</button><pre id="called" aria-live="polite"></pre></section>
</div>`,
  script: `
const at = (id) => document.getElementById(id);
const row = (table, name, value) => {
  const line = table.insertRow();
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = name;
  line.append(head);
  line.insertCell().textContent = typeof value === 'string' ? value : JSON.stringify(value);
};
const fill = async (table, url, pick) => {
  try {
    const response = await fetch(url, { headers: { accept: 'application/json' } });
    if (!response.ok) return row(table, 'answer', String(response.status));
    for (const [name, value] of Object.entries(pick(await response.json()))) row(table, name, value);
  } catch (error) {
    row(table, 'error', String(error));
  }
};
const note = (id, line) => { at(id).textContent = (line + '\\n' + at(id).textContent).slice(0, 2000); };
fill(at('me'), '/me', (me) => me);
fill(at('identity'), '/api/v1/whoami', (who) => who.identity);
new EventSource('/api/v1/ticks').onmessage = (event) => note('ticks', event.data);
const socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/api/v1/echo');
socket.onopen = () => { at('socket-state').textContent = 'open'; };
socket.onclose = (event) => { at('socket-state').textContent = 'closed (' + event.code + ')'; };
socket.onmessage = (event) => note('echo', event.data);
at('say').onsubmit = (event) => { event.preventDefault(); if (socket.readyState === 1) socket.send(at('text').value); };
at('call').onclick = async () => {
  const init = { method: 'POST', headers: { 'content-type': 'application/json', 'connect-protocol-version': '1' }, body: JSON.stringify({ text: at('text').value }) };
  try {
    const response = await fetch('/flytegate.demo.v1.EchoService/Unary', init);
    note('called', response.status + ' ' + await response.text());
  } catch (error) {
    note('called', String(error));
  }
};
`,
};

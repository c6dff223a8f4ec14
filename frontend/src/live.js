// One stream per browser, however many tabs: the tab that holds the lock listens and tells the others.
// An element asks for news with data-live="work.* alert.*" (kinds of facts) and hx-trigger="live"; it is fetched anew, nothing else moves.
import htmx from 'htmx.org';
import { setClock } from './clock.js';
import { post } from './text.js';

const channel = 'BroadcastChannel' in window ? new BroadcastChannel('anlan-live') : null;
const waiting = new Map();

const wants = (el, kind) => el.dataset.live.split(/\s+/).some((want) => want === '*' || want === kind || (want.endsWith('*') && kind.startsWith(want.slice(0, -1))));

const LEAST_MS = 1000; // between two refreshes of one element: a storm of facts must not become a storm of requests

function refresh(el) {
  // A burst is one refresh, 150 ms after its first fact; the next one waits its turn, and none is lost.
  if (waiting.has(el)) return;
  const pause = Math.max(150, (el.refreshedAt ?? 0) + LEAST_MS - performance.now());
  waiting.set(el, setTimeout(() => { waiting.delete(el); el.refreshedAt = performance.now(); if (el.isConnected) htmx.trigger(el, 'live'); }, pause));
}

let seen = Number(document.body.dataset.since || 0); // seal number up to which this browser knows

function tell(message) {
  if (message.number) seen = Math.max(seen, message.number);
  if (message.type === 'clock') { setClock(message.data.now, message.data.running); return; }
  if (message.type === 'state') { document.body.dataset.stream = message.data; return; }
  document.dispatchEvent(new CustomEvent('anlan:fact', { detail: message.data }));
  document.querySelectorAll('[data-live]').forEach((el) => wants(el, message.data.kind) && refresh(el));
}
const spread = (message) => { tell(message); channel?.postMessage(message); };

function listen() {
  const source = new EventSource(`/live?since=${seen}`);
  source.addEventListener('fact', (event) => spread({ type: 'fact', number: Number(event.lastEventId), data: JSON.parse(event.data) }));
  source.addEventListener('clock', (event) => spread({ type: 'clock', data: JSON.parse(event.data) }));
  source.addEventListener('bye', () => { source.close(); setTimeout(listen, 1500); });
  let before = null;
  source.onopen = () => { spread({ type: 'state', data: 'open' }); if (before === 'lost') spread({ type: 'fact', data: { kind: 'stream.reopened' } }); before = 'open'; };
  source.onerror = () => { before = 'lost'; spread({ type: 'state', data: 'lost' }); if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000); };
}

export function startLive() {
  if (document.body.dataset.streaming === undefined) return;
  if (channel) channel.onmessage = (event) => tell(event.data);
  if (navigator.locks) navigator.locks.request('anlan-live', () => new Promise(listen)); else listen();
  // What came while nobody looked is fetched once more when somebody does, which says that it was shown.
  document.addEventListener('visibilitychange', () => { if (document.visibilityState === 'visible') tell({ type: 'fact', data: { kind: 'stream.reopened' } }); });
  // Presence: a desk that is looked at says so; when none does, the server calls the next person (see web.NoDeskLive).
  if (document.body.dataset.presence !== undefined) {
    const here = () => post('/desk/here', { sound: document.body.dataset.sound ?? 'unknown', visible: document.visibilityState }).catch(() => {});
    here(); setInterval(here, 20000);
    document.addEventListener('anlan:sound', here); document.addEventListener('visibilitychange', here);
  }
}

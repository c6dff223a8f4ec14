/** The app: four tabs, one screen at a time, addressed by the part after #. Everything works from the copy; the network only brings news. */
import './phone.css';
import * as store from './db';

import { screens, type Screen } from './screens';
import { count, expire, listen, setOnWiped, start as startSync, status, sync } from './sync';
import { h, icon, mark, say, setZone, span, toast, when, type IconName } from './ui';
import { picture } from './view';

const app = document.getElementById('app')!;
const TABS: [string, IconName, string][] = [['orders', 'bell', mark('Orders')], ['map', 'map', mark('Map')], ['report', 'camera', mark('Report in')], ['me', 'me', mark('Me')]];
const bar = h('div.bar', { role: 'status' }), main = h('main.main', { id: 'main', tabindex: '-1' }), tabs = h('nav.tabs-bottom', { 'aria-label': say('Parts of the app') });
let current: Screen | null = null, drawing = 0, told = false, toAnswer = 0;

function where(): [string, ...string[]] {
  const parts = location.hash.replace(/^#\/?/, '').split('/').filter(Boolean).map(decodeURIComponent);
  return (parts.length ? parts : ['orders']) as [string, ...string[]];
}

async function show(): Promise<void> {
  const turn = ++drawing, [name, ...rest] = where();
  if (!store.ready()) { drawDoor(); return; }
  const found = await picture();
  if (turn !== drawing) return;
  if (found.me) setZone(found.me.zone);
  band(found.me?.realm);
  const screen = await (screens[name] ?? screens.orders)(found, rest);
  if (turn !== drawing) return;
  current = screen;
  main.replaceChildren(...(screen.back ? [h('a.back', { href: `#/${screen.back}` }, icon('back'), say('Back'))] : []), ...(screen.title ? [h('h1', screen.title)] : []), screen.el);
  toAnswer = found.orders.filter((order) => ['issued', 'delivered', 'read'].includes(order.state) && order.mine).length;
  drawBar();
}
/** News came: redraw what only shows; a screen with something typed in it stays as it is. */
function refresh(): void { if (!current?.holds) show(); else drawBar(); }

function drawTabs(tab: string): void {
  tabs.replaceChildren(...TABS.map(([name, sign, label]) => {
    const number = name === 'orders' ? toAnswer : name === 'me' ? status.unsent : 0;
    return h('a', { href: `#/${name}`, 'aria-current': tab === name ? 'page' : null }, icon(sign), h('span', say(label)), number ? h('span.count', { 'data-count': name, 'aria-label': name === 'me' ? say('{n} not sent', { n: number }) : say('{n} to answer', { n: number }) }, number) : null);
  }));
}

function drawBar(): void {
  const parts: (Node | string)[] = [];
  if (!status.network) parts.push(icon('off', 'icon-small'), say('No network'));
  else if (status.busy === 'ops') parts.push(icon('wait', 'icon-small'), say('Sending {done} of {of}', { done: status.done, of: status.of }));
  else if (status.busy === 'files') parts.push(icon('wait', 'icon-small'), say('Sending photograph {done} of {of}', { done: Math.min(status.done + 1, status.of), of: status.of }));
  else if (status.busy === 'copy') parts.push(icon('wait', 'icon-small'), say('Taking along what is new'));
  else if (status.signIn) parts.push(h('a', { href: document.body.dataset.signIn + '?next=' + document.body.dataset.home }, say('Signed out. Sign in to send and receive.')));
  else if (status.factor) parts.push(h('a', { href: document.body.dataset.factor + '?next=' + document.body.dataset.home }, say('Something waits for your second factor.')));
  else if (status.problem) parts.push(icon('alert', 'icon-small'), status.problem);
  else if (status.next) parts.push(icon('clock', 'icon-small'), say('The link broke. Trying again {when}', { when: span(Date.now() - status.next) }));
  else if (status.synced) parts.push(icon('check', 'icon-small'), say('Up to date, {when}', { when: when(status.synced, false) }));
  bar.replaceChildren(h('span.what', ...parts), status.unsent ? h('a.unsent', { href: '#/queue' }, say('{n} not sent', { n: status.unsent })) : '');
  bar.dataset.state = !status.network ? 'off' : status.busy || (status.signIn || status.factor || status.problem ? 'problem' : status.next ? 'waiting' : 'idle');
  bar.dataset.unsent = String(status.unsent);
  if (store.ready() && current) drawTabs(current.tab);
  if (!status.network && !told) { told = true; toast(say('No network. Go on working; what you do is kept here and sent by itself.')); }
  if (status.network) told = false;
}

function band(realm: { kind: string; name: string } | undefined): void {
  const unreal = !!realm && realm.kind !== 'actual';
  document.body.classList.toggle('unreal', unreal);
  document.querySelectorAll('.band, .band-frame').forEach((el) => el.remove());
  if (unreal) app.before(h('div.band-frame', { 'aria-hidden': 'true' }), h('div.band', h('span.name', realm.kind === 'replay' ? say('Replay') : say('Exercise')), h('span', realm.name)));
}

/** Nobody known here yet, or no longer: what to do, and nothing else. */
function drawDoor(): void {
  const why = sessionStorage.getItem('anlan.wiped');
  main.replaceChildren(h('section.card.stack', h('h1', why ? say('This device was cleared') : say('Anlan on this telephone')),
    why ? h('p', why) : h('p', say('Sign in once with a network. Then your orders, registers and forms are kept here and work without one.')),
    status.network ? h('a.btn.btn-primary.btn-big', { href: document.body.dataset.signIn + '?next=' + document.body.dataset.home }, say('Sign in')) : h('p.muted', say('There is no network now.'))));
  tabs.replaceChildren(); drawBar();
}

setOnWiped((why) => { sessionStorage.setItem('anlan.wiped', why || say('Its account was closed or the device withdrawn.')); location.hash = ''; drawDoor(); });

async function begin(): Promise<void> {
  app.replaceChildren(bar, main, tabs);
  const phone = store.current();
  if (phone) { await store.use(phone.account); await expire(); const synced = await store.meta<number>('synced'); if (synced) status.synced = synced; await count(); }
  await show();
  window.addEventListener('hashchange', () => { window.scrollTo(0, 0); show(); });
  listen((kind) => { if (kind === 'data') refresh(); else drawBar(); });
  startSync();
  if ('serviceWorker' in navigator) navigator.serviceWorker.register(document.body.dataset.worker!, { scope: document.body.dataset.home }).then(() => navigator.storage?.persist?.(), console.warn);
  await sync('asked');
  if (!store.ready()) drawDoor();
}
begin();

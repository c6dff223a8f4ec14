// A new red item sounds until somebody acknowledges it. A browser lets a page sound only after a press, so the desk asks
// for a sound test at the start of the shift and shows plainly when it is mute.
import { post, say } from './text.js';

let context = null;
const buffers = new Map();
let ringing = null;

async function load(url) {
  if (!buffers.has(url)) buffers.set(url, await context.decodeAudioData(await (await fetch(url)).arrayBuffer()));
  return buffers.get(url);
}
async function play(url, loop = false) {
  context ??= new AudioContext();
  if (context.state !== 'running') await Promise.race([context.resume(), new Promise((done) => setTimeout(done, 400))]);
  if (context.state !== 'running') { mark('mute'); return null; }
  const node = context.createBufferSource();
  node.buffer = await load(url); node.loop = loop; node.connect(context.destination); node.start();
  mark('on');
  return node;
}
function mark(state) {
  if (document.body.dataset.sound === state) return;
  document.body.dataset.sound = state;
  document.querySelectorAll('[data-sound-button]').forEach((el) => { el.setAttribute('aria-pressed', String(state === 'on')); el.title = say(state === 'on' ? 'sound.on' : 'sound.off'); });
  document.querySelectorAll('[data-sound-ask]').forEach((el) => { el.hidden = state === 'on'; });
  document.dispatchEvent(new CustomEvent('anlan:sound'));
}

/** Looks at what the page says is waiting in red and not yet acknowledged; rings or falls silent accordingly. */
async function check() {
  const box = document.getElementById('alarm');
  const ids = box ? [...box.querySelectorAll('[data-alarm]')].map((el) => el.dataset.alarm) : [];
  if (ids.length && !ringing) {
    ringing = 'starting';
    const url = document.body.dataset.alarmUrl;
    ringing = url ? (await play(url, true)) ?? 'mute' : null;
    document.title = `(${ids.length}) ${document.title.replace(/^\(\d+\) /, '')}`;
  } else if (!ids.length && ringing) { ringing.stop?.(); ringing = null; document.title = document.title.replace(/^\(\d+\) /, ''); }
}

export function startSound() {
  document.addEventListener('click', async (event) => {
    if (event.target.closest('[data-sound-button], [data-sound-test]')) {
      const node = await play(document.body.dataset.testUrl);
      if (node) await post('/desk/sound', { heard: 'asked' }).catch(() => {});
    } else if (ringing === 'mute') { ringing = null; check(); } // any press lets the browser sound at last
  });
  document.addEventListener('htmx:afterSwap', check);
  const begin = () => { if (document.querySelector('[data-sound-button]') && document.body.dataset.sound === undefined) { const probe = new AudioContext(); context = probe; mark(probe.state === 'running' ? 'on' : 'mute'); } check(); };
  if (document.readyState === 'loading') document.addEventListener('DOMContentLoaded', begin); else begin();
}

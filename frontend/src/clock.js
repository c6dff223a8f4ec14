// Local time with seconds in the top bar, ages behind times, and clocks that run out. The zone and the realm's own time
// come from the server: a phone whose clock is wrong, or a replay of 2021, still shows the right time.
import { say } from './text.js';

let ahead = 0; // realm's time minus this machine's, in milliseconds
let stopped = null; // a replay's clock stands between its steps
let zone = 'Asia/Shanghai';

export const now = () => (stopped ?? Date.now() + ahead);
export function setClock(iso, running = true) {
  const at = Date.parse(iso);
  if (Number.isNaN(at)) return;
  ahead = at - Date.now(); stopped = running ? null : at; tick();
}

const two = (n) => String(n).padStart(2, '0');
const parts = (ms) => Object.fromEntries(new Intl.DateTimeFormat('en-GB', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' }).formatToParts(ms).map((p) => [p.type, p.value]));

export function age(ms) {
  const minutes = Math.round(Math.abs(ms) / 60000);
  const [key, n] = minutes < 1 ? ['now', 0] : minutes < 90 ? ['min', minutes] : minutes < 48 * 60 ? ['h', Math.round(minutes / 60)] : ['d', Math.round(minutes / 1440)];
  return key === 'now' ? say('age.now') : say(ms >= 0 ? `age.${key}` : `in.${key}`, { n });
}

function left(ms) {
  const s = Math.floor(Math.abs(ms) / 1000);
  const text = s >= 86400 ? say('clock.d', { d: Math.floor(s / 86400), h: Math.floor((s % 86400) / 3600) }) : s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor((s % 3600) / 60))}:${two(s % 60)}` : `${two(Math.floor(s / 60))}:${two(s % 60)}`;
  return say(ms < 0 ? 'clock.over' : 'clock.left', { t: text });
}

function tick() {
  const at = now();
  document.querySelectorAll('[data-clock]').forEach((el) => {
    const p = parts(at);
    el.textContent = `${p.hour}:${p.minute}:${p.second}`;
    const day = el.parentElement.querySelector('[data-day]');
    if (day) day.textContent = `${p.year}-${p.month}-${p.day}`;
  });
  document.querySelectorAll('[data-due]').forEach((el) => {
    // An actual item shown above an exercise runs by the real time it was drawn at, not by the exercise's.
    if (el.dataset.at) el.ahead ??= Date.parse(el.dataset.at) - Date.now();
    const ms = Date.parse(el.dataset.due) - (el.dataset.at ? Date.now() + el.ahead : at);
    const text = left(ms);
    const word = el.querySelector('[data-left]') ?? el;
    if (word.textContent !== text) word.textContent = text;
    el.classList.toggle('overdue', ms < 0);
  });
}

function ages() {
  const at = now();
  document.querySelectorAll('time[data-age]').forEach((el) => {
    const word = el.querySelector('small');
    if (word) word.textContent = say('age.brackets', { t: age(at - Date.parse(el.dateTime)) });
  });
}

export function startClock() {
  const el = document.querySelector('[data-clock]');
  if (el) { zone = el.dataset.zone || zone; setClock(el.dataset.clock, el.dataset.running !== '0'); }
  tick(); setInterval(tick, 1000); setInterval(ages, 30000);
  document.addEventListener('htmx:load', tick);
}

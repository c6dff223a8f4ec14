/** Words for the screen come from the page (translated by the server), never from here: <script type="application/json" id="words">. */
let words = null;
export function say(key, values = {}) {
  words ??= JSON.parse(document.getElementById('words')?.textContent || '{}');
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}
export const language = () => document.documentElement.lang || 'zh-hans';
export const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
export const csrf = () => document.querySelector('meta[name="csrf"]')?.content ?? '';
/** A POST to our own pages; answers the Response. */
export const post = (url, fields = {}) =>
  fetch(url, { method: 'POST', headers: { 'X-CSRFToken': csrf() }, body: new URLSearchParams(fields), credentials: 'same-origin' });
export function toast(message) {
  let box = document.querySelector('.toast');
  if (!box) { box = document.createElement('div'); box.className = 'toast'; box.setAttribute('role', 'status'); document.body.append(box); }
  box.textContent = message;
  clearTimeout(box.timer); box.timer = setTimeout(() => { box.textContent = ''; }, 5000);
}

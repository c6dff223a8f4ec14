// Keyboard: / search, ? help, g + letter to a room, a letter to what bears it (data-press), arrows and Enter in tables and lists, Escape to close.
export function startKeys() {
  let gone = 0;
  const typing = (el) => el.closest('input:not([type="checkbox"]), textarea, select, [contenteditable]');
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const search = document.getElementById('search');
    if (event.key === 'Escape') {
      const quick = document.getElementById('quick');
      if (quick?.textContent.trim()) { quick.replaceChildren(); search?.focus(); }
      document.querySelector('.top.searching')?.classList.remove('searching');
      document.querySelector('[data-sheet]:not([hidden]) [data-sheet-close]')?.click();
      if (document.querySelector('[data-press]')) document.activeElement?.blur(); // out of the field, so that letters are commands again
      return;
    }
    if (search && document.activeElement && (event.key === 'ArrowDown' || event.key === 'ArrowUp') && (document.activeElement === search || document.activeElement.closest('#quick'))) {
      const links = [search, ...document.querySelectorAll('#quick a')];
      const step = event.key === 'ArrowDown' ? 1 : -1;
      links[(links.indexOf(document.activeElement) + step + links.length) % links.length].focus(); event.preventDefault(); return;
    }
    if (typing(event.target)) return;
    if (event.key === '/') { document.querySelector('.top')?.classList.add('searching'); search?.focus(); search?.select(); event.preventDefault(); return; }
    if (event.key === '?') { document.getElementById('keys-help')?.showModal(); event.preventDefault(); return; }
    if (event.key === 'g') { gone = Date.now(); return; }
    if (Date.now() - gone < 1500) {
      const link = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      gone = 0;
      if (link) { link.click(); event.preventDefault(); return; }
    }
    const pressed = document.querySelector(`[data-press="${CSS.escape(event.key.toLowerCase())}"]`);
    if (pressed && !event.repeat) { pressed.click(); event.preventDefault(); return; }
    if (event.target.closest('[data-map]')) return; // the map has its own arrows
    const list = [...document.querySelectorAll('[data-rows] > *, table[data-keys] tbody tr')].filter((el) => el.offsetParent);
    if (event.key === 'e' && !list.some((el) => el.contains(document.activeElement))) { document.querySelector('.page-head [data-edit]')?.click(); return; }
    if (!list.length) return;
    const at = list.findIndex((el) => el === document.activeElement || el.contains(document.activeElement));
    const go = (i) => { const el = list[Math.max(0, Math.min(list.length - 1, i))]; el.tabIndex = -1; el.focus(); event.preventDefault(); };
    if (event.key === 'ArrowDown' || event.key === 'j') go(at + 1);
    else if (event.key === 'ArrowUp' || event.key === 'k') go(at - 1);
    else if (event.key === 'Enter' && at >= 0 && document.activeElement === list[at]) list[at].querySelector('a, button')?.click();
    else if (event.key === 'e' && at >= 0) list[at].querySelector('[data-edit]')?.click();
    else if (event.key === 'x' && at >= 0) list[at].querySelector('input[type=checkbox][name=row]')?.click();
  });
  document.addEventListener('click', (event) => {
    if (event.target.closest('[data-search-open]')) { document.querySelector('.top')?.classList.add('searching'); document.getElementById('search')?.focus(); }
    else if (!event.target.closest('.search')) { document.getElementById('quick')?.replaceChildren(); document.querySelector('.top.searching')?.classList.remove('searching'); }
  });
}

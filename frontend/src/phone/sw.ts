/// <reference lib="webworker" />
/** The app without a network: its page, scripts and styles are kept when they are installed; data never pass through here. */
export {};
declare const self: ServiceWorkerGlobalScope & { ANLAN: { version: string; files: string[]; shell: string; entry: string } };

const { version, files, shell, entry } = self.ANLAN, NAME = `anlan-phone-${version}`, SHELL_MS = 4000;

self.addEventListener('install', (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(NAME);
    // Scripts and styles carry their fingerprint in their name: what an older version kept need not come over a slow link again.
    await Promise.all(files.map(async (file) => {
      const kept = file === shell ? undefined : await caches.match(file);
      if (kept) await cache.put(file, kept); else await cache.add(new Request(file, { cache: 'no-cache' }));
    }));
    await self.skipWaiting();
  })());
});

self.addEventListener('activate', (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith('anlan-phone-') && name !== NAME) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener('fetch', (event) => {
  const { request } = event, url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if (request.mode === 'navigate' && url.pathname === shell) event.respondWith(page(request));
  else if (files.includes(url.pathname)) event.respondWith(caches.match(url.pathname).then((kept) => kept ?? fetch(request)));
});

/** The page from the network while it answers quickly (it may speak another language now), else as it was kept. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(NAME), kept = await cache.match(shell);
  const fresh = fetch(request, kept ? { signal: AbortSignal.timeout(SHELL_MS) } : undefined).then(async (answer) => {
    // A page of a newer build names scripts this version has not kept; its own worker will keep it with them.
    if (answer.ok && (await answer.clone().text()).includes(entry)) await cache.put(shell, answer.clone());
    return answer.ok ? answer : kept ?? answer;
  });
  return kept ? fresh.catch(() => kept) : fresh;
}

import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { tone } from './tone.js';

const here = dirname(fileURLToPath(import.meta.url));
const out = resolve(here, '../src/anlan/web/static/dist');

// The icons go to the server as one table, so that a page carries its few icons in itself: no request, no flash.
const iconsAndTone = {
  name: 'icons-and-tone',
  closeBundle() {
    const folder = resolve(here, 'node_modules/lucide-static/icons');
    const icons = {};
    for (const file of readdirSync(folder)) {
      if (!file.endsWith('.svg')) continue;
      const text = readFileSync(resolve(folder, file), 'utf8');
      const inside = text.slice(text.indexOf('>', text.indexOf('<svg')) + 1, text.lastIndexOf('</svg>'));
      icons[file.slice(0, -4)] = inside.replace(/\s+/g, ' ').trim();
    }
    mkdirSync(out, { recursive: true });
    writeFileSync(resolve(out, 'icons.json'), JSON.stringify(icons));
    writeFileSync(resolve(out, 'alarm.wav'), tone([[880, 0.22], [0, 0.08], [660, 0.22], [0, 0.08], [880, 0.22], [0, 0.6]]));
    writeFileSync(resolve(out, 'test.wav'), tone([[660, 0.25], [0, 0.05], [880, 0.35]]));
  },
};

export default defineConfig({
  base: '/static/dist/',
  publicDir: false,
  plugins: [iconsAndTone],
  worker: { format: 'es' },
  build: {
    outDir: out,
    emptyOutDir: true,
    manifest: 'manifest.json',
    assetsInlineLimit: 0, // a data: address would need a hole in the content security policy
    modulePreload: { polyfill: false },
    target: 'es2022',
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: { app: resolve(here, 'src/app.js'), phone: resolve(here, 'src/phone/main.ts'), worker: resolve(here, 'src/phone/sw.ts') } },
  },
});

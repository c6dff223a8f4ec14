/** A label on a shelf or a post: its QR code or barcode, or the code printed under it, opens what is to be done with it, else the entry. */
import type { Case, RegisterSpec, Row } from './types';
import { h, icon, say, sheet } from './ui';
import { rows, text, title, type Picture } from './view';

interface Detector { detect: (source: CanvasImageSource) => Promise<{ rawValue: string }[]> }
declare global { interface Window { BarcodeDetector?: { new (options: { formats: string[] }): Detector; getSupportedFormats: () => Promise<string[]> } } }
const FORMATS = ['qr_code', 'code_128', 'code_39', 'data_matrix'];
const plain = (said: string) => said.trim().normalize('NFKC').toLowerCase();
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/** The case a label or typed code stands for: a lot that is to be counted. With one step it opens that step's form. */
export function caseOf(known: Picture, said: string): Case | null {
  const code = UUID.exec(said)?.[0].toLowerCase() ?? plain(said);
  return (code && known.cases.find((one) => one.steps.length > 0 && one.marks?.some((mark) => plain(mark) === code))) || null;
}
const toCase = (known: Picture, one: Case) => {
  const first = known.loops.find((loop) => loop.name === one.loop)?.steps.find((step) => one.steps.includes(step.name) && step.form.length);
  return first ? `#/step/${one.id}/${first.name}` : `#/case/${one.id}`;
};

/** The entry a label or typed code stands for, among those on this device. */
export async function readLabel(known: Picture, said: string): Promise<{ register: RegisterSpec; row: Row } | null> {
  const key = UUID.exec(said)?.[0].toLowerCase(), code = plain(said);
  if (!code) return null;
  for (const register of known.registers) {
    const found = (await rows(register, known.queue)).find((row) => (key ? row.id === key : register.key.length > 0 && register.key.every((name) => plain(text(row, name)) === code)));
    if (found) return { register, row: found };
  }
  return null;
}

export function scan(known: Picture): void {
  let stream: MediaStream | null = null, over = false;
  sheet(say('Scan a label or type its code'), (close) => {
    const note = h('p.muted.small', { role: 'status' }), typed = h<HTMLInputElement>('input', { 'aria-label': say('Code'), placeholder: say('Code on the label'), autocomplete: 'off', autocapitalize: 'characters' }), hits = h('div.stack-small');
    const stop = () => { over = true; stream?.getTracks().forEach((track) => track.stop()); };
    const open = async (said: string) => {
      const waiting = caseOf(known, said);
      if (waiting) { stop(); close(); location.hash = toCase(known, waiting); return true; }
      const found = await readLabel(known, said);
      if (!found) { note.textContent = say('No entry with this label is on the device.'); return false; }
      stop(); close(); location.hash = `#/row/${found.register.name}/${found.row.id}`;
      return true;
    };
    const suggest = async () => {
      const wanted = typed.value.trim().toLowerCase();
      if (wanted.length < 2) { hits.replaceChildren(); return; }
      const found: Node[] = known.cases.filter((one) => one.steps.length && one.marks?.some((mark) => mark.toLowerCase().includes(wanted))).slice(0, 8).map((one) => h('button.item', { type: 'button', onclick: () => { stop(); close(); location.hash = toCase(known, one); } }, h('div.text', one.title), h('div.muted.small', one.number)));
      for (const register of known.registers) for (const row of await rows(register, known.queue)) {
        if (found.length < 8 && (title(register, row).toLowerCase().includes(wanted) || register.key.some((name) => text(row, name).toLowerCase().includes(wanted)))) found.push(h('button.item', { type: 'button', onclick: () => { stop(); close(); location.hash = `#/row/${register.name}/${row.id}`; } }, h('div.text', title(register, row)), h('div.muted.small', `${register.one} ${register.key.map((name) => text(row, name)).join(' ')}`)));
      }
      hits.replaceChildren(...found);
    };
    typed.addEventListener('input', suggest);
    const video = h<HTMLVideoElement>('video', { playsinline: true, muted: true, hidden: true });
    const watch = async () => {
      if (!window.BarcodeDetector || !navigator.mediaDevices?.getUserMedia) { note.textContent = say('This browser cannot read QR codes. Type the code printed on the label.'); return; }
      try {
        const detector = new window.BarcodeDetector({ formats: (await window.BarcodeDetector.getSupportedFormats()).filter((name) => FORMATS.includes(name)) });
        stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
        video.srcObject = stream; video.hidden = false; await video.play();
        note.textContent = say('Hold the label before the camera.');
        while (!over && video.isConnected) {
          const found = await detector.detect(video).catch(() => []);
          if (found[0] && (await open(found[0].rawValue))) return;
          await new Promise((resolve) => setTimeout(resolve, 250));
        }
        stop();
      } catch { note.textContent = say('The camera is not allowed or busy. Type the code printed on the label.'); }
    };
    setTimeout(watch);
    return h('form.stack', { onsubmit: (event: Event) => { event.preventDefault(); open(typed.value); } }, video, note, typed, h('button.btn.btn-primary.btn-big', icon('qr'), say('Open the entry')), hits);
  });
}

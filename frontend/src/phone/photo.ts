/** Photo first, words later: made smaller before it is kept, with the camera's time and the place it was taken. */
import * as store from './db';
import type { Photo } from './types';

const LONG_SIDE = 1600, QUALITY = 0.8;

/** The EXIF facts a report needs: when (as the camera says it) and where. Reads the first 128 KB of a JPEG; nothing found is nothing said. */
export function exif(view: DataView): { taken_at: string; lon: number | null; lat: number | null } {
  const none = { taken_at: '', lon: null, lat: null };
  try {
    if (view.getUint16(0) !== 0xffd8) return none;
    let at = 2;
    while (at + 4 < view.byteLength && view.getUint16(at) !== 0xffe1) { if (view.getUint8(at) !== 0xff) return none; at += 2 + view.getUint16(at + 2); }
    const tiff = at + 10;
    if (view.getUint32(at + 4) !== 0x45786966) return none;
    const little = view.getUint16(tiff) === 0x4949, u16 = (p: number) => view.getUint16(p, little), u32 = (p: number) => view.getUint32(p, little);
    const entries = (dir: number) => new Map(Array.from({ length: u16(dir) }, (_, i) => dir + 2 + 12 * i).map((p) => [u16(p), p] as const));
    const ascii = (p: number) => { const n = u32(p + 4), from = n > 4 ? tiff + u32(p + 8) : p + 8; return String.fromCharCode(...Array.from({ length: Math.max(0, n - 1) }, (_, i) => view.getUint8(from + i))); };
    const degrees = (p: number) => { const from = tiff + u32(p + 8); return [0, 1, 2].reduce((sum, i) => sum + u32(from + 8 * i) / (u32(from + 8 * i + 4) || 1) / 60 ** i, 0); };
    const first = entries(tiff + u32(tiff + 4));
    let taken_at = '', lon: number | null = null, lat: number | null = null;
    const inner = first.get(0x8769), place = first.get(0x8825);
    if (inner !== undefined) {
      const found = entries(tiff + u32(inner + 8)), time = found.get(0x9003) ?? found.get(0x9004), zone = found.get(0x9011);
      if (time !== undefined) taken_at = ascii(time).replace(/^(\d{4}):(\d\d):(\d\d)/, '$1-$2-$3') + (zone !== undefined ? ascii(zone) : '');
    }
    if (place !== undefined) {
      const found = entries(tiff + u32(place + 8)), [latRef, la, lonRef, lo] = [1, 2, 3, 4].map((tag) => found.get(tag));
      if (la !== undefined && lo !== undefined) { lat = degrees(la) * (latRef !== undefined && ascii(latRef) === 'S' ? -1 : 1); lon = degrees(lo) * (lonRef !== undefined && ascii(lonRef) === 'W' ? -1 : 1); }
    }
    return { taken_at, lon, lat };
  } catch { return none; }
}

export interface Place { lon: number; lat: number; accuracy_m: number | null }
let last: { place: Place; at: number } | null = null;
/** Where this device is, when it may say so; a fix of the last two minutes counts. Null after `seconds`. */
export function where(seconds = 10): Promise<Place | null> {
  if (!navigator.geolocation) return Promise.resolve(null);
  return new Promise((resolve) => {
    const give = (place: Place | null) => resolve(place ?? (last && Date.now() - last.at < 120_000 ? last.place : null));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => { last = { place: { lon: coords.longitude, lat: coords.latitude, accuracy_m: Math.round(coords.accuracy) }, at: Date.now() }; give(last.place); },
      () => give(null), { enableHighAccuracy: true, timeout: seconds * 1000, maximumAge: 60_000 },
    );
  });
}

async function smaller(file: Blob): Promise<Blob> {
  const picture = await createImageBitmap(file, { imageOrientation: 'from-image' });
  const scale = Math.min(1, LONG_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(picture.width * scale)); canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext('2d')!.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/jpeg', QUALITY));
}

/** Keep a photograph on this device; what is no picture is refused by name. */
export async function keepPhoto(file: File): Promise<Photo> {
  const known = exif(new DataView(await file.slice(0, 131_072).arrayBuffer()));
  const place = known.lon === null ? await where(6) : null;
  const blob = await smaller(file);
  const digest = [...new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()))].map((b) => b.toString(16).padStart(2, '0')).join('');
  const photo: Photo = {
    id: store.uuid7(), op: null, name: file.name.replace(/\.[^.]*$/, '').slice(0, 120).concat('.jpg'), size: blob.size, sha256: digest, blob, sent: 0, state: 'draft', made_at: Date.now(),
    taken_at: known.taken_at || (file.lastModified ? stamp(new Date(file.lastModified)) : ''), lon: known.lon ?? place?.lon ?? null, lat: known.lat ?? place?.lat ?? null, accuracy_m: known.lon === null ? place?.accuracy_m ?? null : null,
  };
  await store.db().put('files', photo);
  return photo;
}
const two = (n: number) => String(n).padStart(2, '0');
const stamp = (at: Date) => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;

/** Talking to the server: small, gzipped, with a time limit; every failure says whether trying again can help. */
export class Failure extends Error {
  constructor(readonly status: number, readonly code: string, message: string, readonly data: Record<string, unknown> = {}) { super(message); }
  /** No answer at all, or one that says "later": the link's fault, not the content's. */
  get passing() { return this.status === 0 || this.status === 429 || this.status >= 500; }
}
const base = () => document.body.dataset.api!;
const cookie = (name: string) => document.cookie.split('; ').find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';

async function gzip(text: string): Promise<Blob> {
  return new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).blob();
}

export async function call<T>(method: string, path: string, body?: unknown, more: { headers?: Record<string, string>; seconds?: number; signal?: AbortSignal; outlives?: boolean; onBytes?: (got: number, of: number) => void } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'X-CSRFToken': cookie('csrftoken'), ...more.headers };
  let content: BodyInit | undefined;
  if (body instanceof Blob) { content = body; headers['Content-Type'] = 'application/octet-stream'; }
  else if (body !== undefined) {
    const text = JSON.stringify(body);
    headers['Content-Type'] = 'application/json';
    if (text.length > 600 && 'CompressionStream' in self) { content = await gzip(text); headers['Content-Encoding'] = 'gzip'; } else content = text;
  }
  const limit = AbortSignal.timeout((more.seconds ?? 60) * 1000);
  let response: Response, text: string;
  try {
    response = await fetch(base() + path, { method, headers, body: content, credentials: 'same-origin', redirect: 'manual', cache: 'no-store', keepalive: more.outlives, signal: more.signal ? AbortSignal.any([limit, more.signal]) : limit });
    text = more.onBytes ? await read(response, more.onBytes) : await response.text();
  } catch (error) { throw new Failure(0, 'network', String(error)); }
  let found: any = null;
  try { found = text ? JSON.parse(text) : null; } catch { /* a proxy's or a sign-in page */ }
  if (response.type === 'opaqueredirect') throw new Failure(401, 'kernel.sign_in', '');
  if (!response.ok || found === null) throw new Failure(response.ok ? 502 : response.status, found?.error?.code ?? '', found?.error?.message ?? String(response.status), found?.error?.data ?? {});
  return found as T;
}

async function read(response: Response, onBytes: (got: number, of: number) => void): Promise<string> {
  const of = Number(response.headers.get('X-Size') ?? 0), reader = response.body!.getReader(), parts: Uint8Array[] = [];
  let got = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value); got += value.length; onBytes(got, of);
  }
  return new Blob(parts as BlobPart[]).text();
}

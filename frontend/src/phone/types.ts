/** What the server sends and the device keeps. Times are ISO strings of the device's or the server's clock, as the name says. */
export type Id = string;
export type Outcome = 'done' | 'merged' | 'conflict' | 'kept' | 'refused' | 'later';

export interface FieldSpec {
  name: string; label: string; kind: string; required: boolean; help?: string; unit?: string; min?: number; max?: number; length?: number; places?: number;
  pattern?: string; many?: boolean; ref?: string; show_when?: string; default?: unknown; personal?: boolean; readonly?: boolean; column?: boolean; filter?: boolean;
  choices?: [string, string][]; group?: string;
}
export interface RegisterSpec { name: string; label: string; one: string; icon: string; subject: string; key: string[]; title: string; note: string[]; fresh_days: number | null; fields: FieldSpec[]; may: Record<string, boolean>; writable: boolean; verifiable: boolean }
export interface StepSpec { name: string; label: string; from: string[]; to: string; to_label: string; may: boolean; form: FieldSpec[]; evidence: { photos: number; files: number }; confirm: string; danger: boolean; holder: boolean }
export interface LoopSpec { name: string; label: string; one: string; icon: string; subject: string; states: { name: string; label: string; final: boolean; note: string }[]; fields: FieldSpec[]; open: StepSpec; steps: StepSpec[] }
export interface Receipt { state: string; at: string; text: string; percent: number | null; unsent?: boolean }
export interface Order { id: Id; realm: Id; real: boolean; state: string; text: string; clause: string; post: string; place: string; issued_at: string; answer_by: string | null; due_at: string | null; percent: number; from: string; mine: boolean; receipts: Receipt[]; unsent?: boolean }
export interface Task { id: Id; text: string; level: string; since: string; due_at: string | null; subject: string; url: string; place: string; real: boolean }
export interface Me { account: Id; person: string; lang: string; zone: string; post: Id; posts: { id: Id; name: string }[]; realm: { id: Id; kind: string; name: string; over: boolean }; keep_days: number; second_factor: boolean }
export interface Row { id: Id; version: number; lon: number | null; lat: number | null; verified_at: string | null; stale: boolean; values: Record<string, unknown>; shown: Record<string, string>; unsent?: boolean }
export interface Case { id: Id; loop: string; version: number; number: string; title: string; state: string; since: string; due_at: string | null; lon: number | null; lat: number | null; place: string; realm: Id; steps: string[]; with: string; marks?: string[]; values: Record<string, unknown>; shown: [string, string][]; timeline: { at: string; label: string; kind: string; who: string; note: string }[]; unsent?: boolean }
export interface Stored<T> { of: string; id: Id; row: T }

/** One thing done on this device, as it will be sent; and what became of it. */
export interface Op {
  op_id: Id; kind: string; seq: number; at: string; realm: Id; after: Id[]; title: string; order?: Id; register?: string; row?: Id; loop?: string; case?: Id; step?: string;
  values?: Record<string, unknown>; base?: Record<string, unknown>; version?: number; text?: string; percent?: number; files: Id[];
}
export interface Queued {
  op_id: Id; seq: number; about: string; op: Op; state: 'waiting' | Outcome; tries: number; why?: string; fields?: { field: string; why: string }[]; person?: boolean; needs?: Id[];
  answer?: Record<string, unknown>; answered_at?: number; said?: string;
}
export interface Photo {
  id: Id; op: Id | null; name: string; size: number; sha256: string; blob: Blob; taken_at: string; lon: number | null; lat: number | null; accuracy_m: number | null;
  sent: number; state: 'draft' | 'waiting' | 'done' | 'refused'; why?: string; made_at: number;
}
export interface Draft { key: string; values: Record<string, unknown>; photos: Id[]; at: number; title: string }
export interface Phone { account: Id; device: Id; secret: string }

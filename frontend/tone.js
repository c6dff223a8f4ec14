// The alarm is made here, from numbers: no sound file of unknown origin, and it is the same on every machine.
const RATE = 22050;

/** Notes as [frequency in Hz, seconds], 0 Hz being silence; answers a mono 16-bit WAV file. */
export function tone(notes) {
  const samples = notes.flatMap(([hertz, seconds]) => {
    const count = Math.round(RATE * seconds);
    return Array.from({ length: count }, (_, i) => {
      if (!hertz) return 0;
      const edge = Math.min(1, i / 220, (count - i) / 220); // 10 ms in and out, or the speaker clicks
      const phase = (2 * Math.PI * hertz * i) / RATE;
      return edge * (0.6 * Math.sin(phase) + 0.2 * Math.sin(2 * phase) + 0.08 * Math.sin(3 * phase));
    });
  });
  const file = Buffer.alloc(44 + samples.length * 2);
  file.write('RIFF', 0); file.writeUInt32LE(36 + samples.length * 2, 4); file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16); file.writeUInt16LE(1, 20); file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE, 24); file.writeUInt32LE(RATE * 2, 28); file.writeUInt16LE(2, 32); file.writeUInt16LE(16, 34);
  file.write('data', 36); file.writeUInt32LE(samples.length * 2, 40);
  samples.forEach((value, i) => file.writeInt16LE(Math.round(value * 32000), 44 + 2 * i));
  return file;
}

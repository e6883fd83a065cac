/** The place of a message as text that sorts like its number. */
export function positionOf(seq: number): string {
  return String(seq).padStart(16, '0')
}

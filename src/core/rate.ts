const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 }

/** Times a second of `10/s`, `600/m` or `5000/h`; undefined for anything else. */
export function parseRate(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\/(s|m|h)$/.exec(text)
  return match ? Number(match[1]) / (secondsOf[match[2] ?? ''] ?? 1) : undefined
}

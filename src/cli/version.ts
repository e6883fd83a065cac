import { readFileSync } from 'node:fs'

/** Version of the package; read from its package.json, which is two levels up in the checkout and as built. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

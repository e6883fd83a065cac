import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** A real server that a bench measures against. */
export interface Peer {
  readonly url: string
  /** Stops it again if it did not run before. */
  release(): void
}

function urlOf(name: string): string | undefined {
  const status = spawnSync('services/status', ['--json'], { cwd: root, encoding: 'utf8' })
  if (status.status !== 0) return undefined
  const { urls } = JSON.parse(status.stdout) as { urls: Record<string, string> }
  return urls[name]
}

/** Starts a service of `services/`, unless it runs; the reason when it cannot be had. */
export function startPeer(name: string): Peer | { readonly reason: string } {
  const running = urlOf(name)
  if (running !== undefined) return { url: running, release: () => undefined }
  const up = spawnSync('services/up', [name], { cwd: root, encoding: 'utf8' })
  const url = urlOf(name)
  if (url === undefined) {
    return { reason: up.stderr?.trim().split('\n').at(-1) || up.error?.message || 'unknown reason' }
  }
  return {
    url,
    release: () => void spawnSync('services/down', [name], { cwd: root, stdio: 'ignore' }),
  }
}

/**
 * A folder for databases on the checkout's own volume, where the services keep theirs: /tmp may be
 * memory, whose syncs cost nothing.
 */
export function scratchFolder(): { readonly path: string; remove(): void } {
  const parent = `${root}.treaty`
  mkdirSync(parent, { recursive: true })
  const path = mkdtempSync(`${parent}/bench-`)
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

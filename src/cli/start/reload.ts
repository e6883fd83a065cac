import { type FSWatcher, watch } from 'node:fs'
import { registerHooks } from 'node:module'
import { sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Clock, TimerHandle } from '../../core/clock.ts'

/** Editors write a file in several steps; this long after the last one it is whole. */
const settleMs = 120

const ignored =
  /(?:^|[\\/])(?:node_modules|dist|\.git|\.treaty)(?:[\\/]|$)|\.db(?:-wal|-shm)?$|\.old$|~$|\.sw.$/

/** Calls `onChange` with the files that changed, once they are quiet. */
export function watchFiles(
  paths: readonly string[],
  clock: Clock,
  onChange: (files: readonly string[]) => void,
): () => void {
  const changed = new Set<string>()
  let timer: TimerHandle
  const watchers = paths.flatMap((path): FSWatcher[] => {
    try {
      return [
        watch(path, { recursive: true }, (_event, name) => {
          const file = name === null ? path : `${path}${sep}${name}`
          if (ignored.test(file)) return
          changed.add(file)
          clock.clearTimeout(timer)
          timer = clock.setTimeout(flush, settleMs)
        }),
      ]
    } catch {
      // A folder that is not there cannot change; the start has already said that it is missing.
      return []
    }
  })
  function flush(): void {
    const files = [...changed]
    changed.clear()
    onChange(files)
  }
  return () => {
    clock.clearTimeout(timer)
    for (const watcher of watchers) watcher.close()
  }
}

/** Makes the next import of the project's own modules, and of what they import, read the files anew. */
export interface ModuleReloader {
  renew(): void
  close(): void
}

/** Modules under `folder` but outside `node_modules` and this package are the project's own. */
export function createModuleReloader(folder: string): ModuleReloader {
  let generation = 0
  const own = pathToFileURL(`${folder}${sep}`).href
  const ours = pathToFileURL(fileURLToPath(new URL('../../', import.meta.url))).href
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      const { url } = resolved
      const isOwn = url.startsWith(own) && !url.startsWith(ours) && !url.includes('/node_modules/')
      return generation > 0 && isOwn
        ? { ...resolved, url: `${url.split('?')[0]}?generation=${generation}` }
        : resolved
    },
  })
  return {
    renew() {
      generation += 1
    },
    close: () => hooks.deregister(),
  }
}

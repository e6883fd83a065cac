import { existsSync, type FSWatcher, readdirSync, statSync, watch } from 'node:fs'
import { registerHooks } from 'node:module'
import { join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Clock, TimerHandle } from '../../core/clock.ts'

/** Editors write a file in several steps; this long after the last one it is whole. */
const settleMs = 120

const ignored =
  /(?:^|[\\/])(?:node_modules|dist|\.git|\.treaty)(?:[\\/]|$)|\.db(?:-wal|-shm)?$|\.old$|~$|\.sw.$/

/** A project with more folders than this is watched in part. */
const foldersMax = 5000

/**
 * Calls `onChange` with the files below a folder that changed, once they are quiet. Each folder is watched by itself: the
 * recursive watch of Node on Linux holds on to files, and loses one that an editor replaces when it saves.
 */
export function watchFiles(
  root: string,
  clock: Clock,
  onChange: (files: readonly string[]) => void,
): () => void {
  const changed = new Set<string>()
  const watchers = new Map<string, FSWatcher>()
  let timer: TimerHandle

  function add(folder: string, isNew: boolean): void {
    if (watchers.has(folder) || watchers.size >= foldersMax) return
    try {
      const watcher = watch(folder, (_event, name) => {
        if (name !== null) note(join(folder, name))
      })
      watcher.on('error', () => drop(folder))
      watchers.set(folder, watcher)
      for (const entry of readdirSync(folder, { withFileTypes: true })) {
        const path = join(folder, entry.name)
        if (isIgnored(path)) continue
        if (entry.isDirectory()) add(path, isNew)
        // What was written into a new folder before it was watched has changed too.
        else if (isNew) changed.add(path)
      }
    } catch {
      // A folder that is not there, or is gone again, cannot change.
      drop(folder)
    }
  }

  function drop(folder: string): void {
    watchers.get(folder)?.close()
    watchers.delete(folder)
  }

  /** Below the root alone: a project may live in a folder that is called `dist`. */
  function isIgnored(path: string): boolean {
    return ignored.test(relative(root, path))
  }

  function note(path: string): void {
    if (isIgnored(path)) return
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) drop(path)
    if (found?.isDirectory()) add(path, true)
    changed.add(path)
    clock.clearTimeout(timer)
    timer = clock.setTimeout(flush, settleMs)
  }

  function flush(): void {
    const files = [...changed].filter(
      (path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory(),
    )
    changed.clear()
    // The passing files of an editor's save are gone by now; they are named only where nothing else has changed.
    const there = files.filter((path) => existsSync(path))
    if (files.length > 0) onChange(there.length > 0 ? there : files)
  }

  add(root, false)
  return () => {
    clock.clearTimeout(timer)
    for (const folder of [...watchers.keys()]) drop(folder)
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

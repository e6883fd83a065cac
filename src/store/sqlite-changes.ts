import { type FSWatcher, watch } from 'node:fs'
import type { Clock, TimerHandle } from '../core/clock.ts'

/** Milliseconds between looks at the data version: the safety net below the file watcher. */
const pollMs = 25

/**
 * Tells listeners that somebody else has committed. Works only while there are listeners, and
 * never keeps the process alive.
 *
 * Two sources: the operating system's watcher on the WAL (fast, but events coalesce and may be
 * lost) and a poll of SQLite's data version on the injected clock (certain).
 */
export interface ChangeFeed {
  add(listener: () => void): () => void
  /** Calls the listeners in a microtask; several calls before it become one. */
  notify(): void
  stop(): void
}

export function createChangeFeed(source: {
  readonly clock: Clock
  /** Absent for memory, where no other process can write. */
  readonly walFile?: string
  readonly changed: () => boolean
}): ChangeFeed {
  const { clock, walFile, changed } = source
  const listeners = new Set<() => void>()
  let watcher: FSWatcher | undefined
  let timer: TimerHandle | undefined
  let isPending = false

  const call = () => {
    for (const listener of [...listeners]) listener()
  }
  const look = () => {
    if (listeners.size > 0 && hasChanged(changed)) call()
  }
  const poll = () => {
    timer = clock.setTimeout(() => {
      look()
      if (listeners.size > 0) poll()
    }, pollMs)
    unref(timer)
  }
  const stopWatching = () => {
    watcher?.close()
    watcher = undefined
  }
  const start = () => {
    if (walFile === undefined) return
    poll()
    try {
      watcher = watch(walFile, { persistent: false }, look)
      // The watcher is only the faster way: without it (no inotify left) the poll still finds all.
      watcher.on('error', stopWatching)
    } catch {
      stopWatching()
    }
  }
  const stop = () => {
    listeners.clear()
    stopWatching()
    if (timer !== undefined) clock.clearTimeout(timer)
    timer = undefined
  }

  return {
    add(listener) {
      // Wrapped, so that the same function added twice is removed once each.
      const own = () => listener()
      listeners.add(own)
      if (listeners.size === 1) start()
      return () => {
        if (listeners.delete(own) && listeners.size === 0) stop()
      }
    },
    notify() {
      if (isPending || listeners.size === 0) return
      isPending = true
      queueMicrotask(() => {
        isPending = false
        call()
      })
    },
    stop,
  }
}

/** A look that fails counts as a change: the listener's own read then meets the problem where it can be told. */
function hasChanged(changed: () => boolean): boolean {
  try {
    return changed()
  } catch {
    return true
  }
}

function unref(handle: TimerHandle): void {
  if (typeof handle !== 'object' || handle === null || !('unref' in handle)) return
  if (typeof handle.unref === 'function') handle.unref()
}

import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorMessage, isTreatyError } from '../../core/errors.ts'

/** One thing that was looked at. */
export interface Check {
  readonly id: string
  readonly title: string
  readonly status: 'ok' | 'warn' | 'fail' | 'skip'
  readonly found: string
  readonly expected: string
  /** What to do, for people; null when nothing is to do. */
  readonly fix: string | null
}

/** Nothing is to do. */
export function passed(id: string, title: string, found: string, expected: string): Check {
  return { id, title, status: 'ok', found, expected, fix: null }
}

/** It threw: what, and what to do. */
export function failed(id: string, title: string, expected: string, error: unknown): Check {
  const code = isTreatyError(error) ? error.code : 'UNFORESEEN'
  const found = errorMessage(error)
  const hint = (isTreatyError(error) ? error.hint : undefined) ?? 'Look at it with --verbose.'
  return { id, title, status: 'fail', found, expected, fix: `${hint} See treaty explain ${code}.` }
}

/** The file of an embedded database that is not there yet: looking must not make it. */
export function unborn(url: string): string | undefined {
  const path = /^sqlite:(.+)$/i.exec(url)?.[1]
  return path !== undefined && !existsSync(path) ? path : undefined
}

/** True when something can be made in the folder, or the folder itself. */
function writable(folder: string): boolean {
  if (!existsSync(folder) && dirname(folder) !== folder) return writable(dirname(folder))
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false // Not there, or not ours: either way nothing can be made in it.
  }
}

/** What can be said of a database that is yet to be made. */
export function unbornCheck(id: string, title: string, path: string): Check {
  const expected = 'a database, or a folder to make one in'
  if (writable(dirname(path))) return passed(id, title, `${path} will be made`, expected)
  const found = `${dirname(path)} cannot be written to`
  return {
    id,
    title,
    status: 'fail',
    found,
    expected,
    fix: 'Check path and permissions of --transport and --store.',
  }
}

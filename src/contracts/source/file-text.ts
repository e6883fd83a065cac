import { readFileSync, statSync } from 'node:fs'
import { isAbsolute, relative, sep } from 'node:path'
import { errorMessage } from '../../core/errors.ts'
import type { Finding } from '../../core/finding.ts'
import { limits } from '../../core/limits.ts'
import { placeAt } from './code-frame.ts'

/** A file as findings print it: relative to the working directory when inside it, else absolute. */
export function displayPath(path: string, workingDirectory: string = process.cwd()): string {
  const short = relative(workingDirectory, path)
  if (short === '' || short === '..' || short.startsWith(`..${sep}`) || isAbsolute(short))
    return path
  return short
}

/** The text of a file, or why there is none. */
export type FileText = { readonly text: string } | { readonly finding: Finding }

const decoder = new TextDecoder('utf-8', { fatal: true })

function refused(path: string, code: string, message: string, hint: string): FileText {
  return { finding: { code, message, severity: 'error', file: displayPath(path), hint } }
}

/** Text up to the first byte that is not UTF-8, by halving: decoding tells that it failed, not where. */
function validPrefix(bytes: Uint8Array): string {
  const lenient = new TextDecoder('utf-8').decode(bytes)
  let at = lenient.indexOf('\ufffd')
  while (at !== -1) {
    const prefix = Buffer.from(lenient.slice(0, at), 'utf8')
    const replacement = bytes.subarray(prefix.length, prefix.length + 3)
    const isGenuine = replacement[0] === 0xef && replacement[1] === 0xbf && replacement[2] === 0xbd
    if (!isGenuine) return lenient.slice(0, at)
    at = lenient.indexOf('\ufffd', at + 1)
  }
  return lenient
}

/**
 * Reads a UTF-8 file. The size is asked before anything is read, so a file of gigabytes costs nothing.
 * Never throws: what is wrong comes back as a finding (FILE_NOT_FOUND, FILE_UNREADABLE, FILE_TOO_LARGE, FILE_NOT_UTF8).
 */
export function readFileText(path: string, bytesMax: number = limits.fileBytesMax): FileText {
  try {
    // Asked before opening: to open a named pipe would wait for its writer.
    const facts = statSync(path)
    if (!facts.isFile()) {
      return refused(path, 'FILE_UNREADABLE', 'this is not a regular file', 'Name a file instead.')
    }
    if (facts.size > bytesMax) {
      return refused(
        path,
        'FILE_TOO_LARGE',
        `the file has ${facts.size} bytes, at most ${bytesMax} are read`,
        'Split the file, or check that it is the one you mean.',
      )
    }
    return decode(path, readFileSync(path))
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    return isMissing
      ? refused(path, 'FILE_NOT_FOUND', 'there is no such file', 'Check the path.')
      : refused(
          path,
          'FILE_UNREADABLE',
          `the file cannot be read: ${errorMessage(error)}`,
          'Check path and permissions.',
        )
  }
}

function decode(path: string, bytes: Uint8Array): FileText {
  try {
    return { text: decoder.decode(bytes) }
  } catch {
    const prefix = validPrefix(bytes)
    const lastLine = prefix.slice(prefix.lastIndexOf('\n') + 1)
    return {
      finding: {
        code: 'FILE_NOT_UTF8',
        message: 'the file is not UTF-8 text',
        severity: 'error',
        file: displayPath(path),
        hint: 'Save the file as UTF-8.',
        ...placeAt(`${prefix}�`, prefix.length, { end: prefix.length + 1 }),
        line: prefix.split('\n').length,
        column: lastLine.length + 1,
      },
    }
  }
}

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { errorMessage, TreatyError } from '../core/errors.ts'

/**
 * Writes a file, and the folders above it.
 *
 * @throws OUTPUT_FAILED · OUTPUT_EXISTS when it must be new and is not
 */
export function writeText(
  path: string,
  text: string,
  options: { readonly mustBeNew?: boolean } = {},
): void {
  try {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text, { flag: options.mustBeNew ? 'wx' : 'w' })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new TreatyError('OUTPUT_EXISTS', `there is something at ${path} already`, {
        hint: 'Choose another place, or remove what is there.',
        details: { path },
        cause,
      })
    }
    throw new TreatyError('OUTPUT_FAILED', `${path} cannot be written: ${errorMessage(cause)}`, {
      hint: 'Check path, permissions and free space.',
      details: { path },
      cause,
    })
  }
}

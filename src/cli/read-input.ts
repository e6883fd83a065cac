import { accessSync, constants, createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { errorMessage, TreatyError } from '../core/errors.ts'
import type { CommandContext } from './command.ts'

/** Input that is read as a whole is held in memory: most bytes of it. */
const inputBytesMax = 268_435_456

/**
 * The absolute path of a file that is there and may be read.
 *
 * @throws FILE_NOT_FOUND · FILE_UNREADABLE
 */
export function pathOfFile(name: string, context: CommandContext): string {
  const path = resolve(context.cwd, name)
  const stats = statSync(path, { throwIfNoEntry: false })
  const failure = { hint: 'Check the path.', details: { file: name } }
  if (!stats) throw new TreatyError('FILE_NOT_FOUND', `there is no file ${name}`, failure)
  if (stats.isDirectory()) {
    throw new TreatyError('FILE_UNREADABLE', `${name} is a folder`, { hint: 'Name a file.' })
  }
  try {
    accessSync(path, constants.R_OK)
  } catch (cause) {
    const message = `${name} cannot be read: ${errorMessage(cause)}`
    throw new TreatyError('FILE_UNREADABLE', message, { ...failure, cause })
  }
  return path
}

/** The bytes of a file, or of standard input for `-`, as they come. @throws FILE_NOT_FOUND · FILE_UNREADABLE */
export function openInput(name: string, context: CommandContext): AsyncIterable<Uint8Array> {
  return name === '-' ? context.input : createReadStream(pathOfFile(name, context))
}

/** Reads everything. @throws FILE_TOO_LARGE · FILE_NOT_FOUND · FILE_UNREADABLE */
export async function readAll(name: string, context: CommandContext): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of openInput(name, context)) {
    length += chunk.length
    if (length > inputBytesMax) {
      throw new TreatyError('FILE_TOO_LARGE', `the input has more than ${inputBytesMax} bytes`, {
        hint: 'Split it.',
      })
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** One line of input, counted from 1; `isTooLong`: it was cut off at the limit. */
export interface InputLine {
  readonly number: number
  readonly bytes: Buffer
  readonly isTooLong: boolean
}

/**
 * The lines of a stream of bytes, as soon as each is complete; line breaks are not part of them. Ends early when
 * `signal` aborts, also while nothing comes.
 *
 * @param bytesMax What a line holds beyond this is dropped, and the line marked.
 */
export async function* readLines(
  input: AsyncIterable<Uint8Array>,
  { bytesMax, signal }: { readonly bytesMax: number; readonly signal: AbortSignal },
): AsyncGenerator<InputLine> {
  let parts: Buffer[] = []
  let length = 0
  let isTooLong = false
  let number = 0
  const add = (part: Buffer) => {
    isTooLong ||= length + part.length > bytesMax
    const kept = part.subarray(0, Math.max(0, bytesMax - length))
    length += part.length
    if (kept.length > 0) parts.push(kept)
  }
  const take = (): InputLine => {
    number += 1
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    const line = { number, bytes: bytes.at(-1) === 0x0d ? bytes.subarray(0, -1) : bytes, isTooLong }
    parts = []
    length = 0
    isTooLong = false
    return line
  }
  for await (const chunk of untilAborted(input, signal)) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    for (let at = bytes.indexOf(0x0a); at !== -1; at = bytes.indexOf(0x0a, from)) {
      add(bytes.subarray(from, at))
      from = at + 1
      yield take()
    }
    if (from < bytes.length) add(bytes.subarray(from))
  }
  if (length > 0 && !signal.aborted) yield take()
}

/** The items until the signal aborts; an item that is still awaited then is left. */
async function* untilAborted<Item>(
  items: AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item> {
  const iterator = items[Symbol.asyncIterator]()
  const aborted = new Promise<IteratorReturnResult<undefined>>((done) => {
    const end = () => done({ done: true, value: undefined })
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
  for (;;) {
    const next = await Promise.race([iterator.next(), aborted])
    if (next.done) return
    yield next.value
  }
}

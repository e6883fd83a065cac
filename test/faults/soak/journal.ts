import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Fate, SoakEvent } from './contract.ts'

/** What a process writes down, each in one write at the end of a shared file, so that the lines of all have one order. */
export type Entry =
  /** A message is about to be published. */
  | {
      readonly kind: 'sending'
      readonly id: string
      readonly event: SoakEvent
      readonly key: string
      readonly sequence: number
      readonly fate: Fate
      /** Milliseconds; absent: it does not expire. */
      readonly ttlMs?: number
    }
  /** The broker has it. */
  | { readonly kind: 'taken'; readonly id: string }
  /** Publishing failed: whether the broker has it is unknown. */
  | { readonly kind: 'unknown'; readonly id: string; readonly code: string }
  /** A handler has done its work, which it began at this epoch in ms. */
  | {
      readonly kind: 'handled'
      readonly id: string
      readonly consumer: string
      readonly begun: number
    }
  /** A handler is about to say that the message has no use any more. */
  | { readonly kind: 'dropping'; readonly id: string; readonly consumer: string }
  /** A dead letter is about to be handed out again, or to be thrown away. */
  | { readonly kind: 'replaying' | 'discarding'; readonly id: string; readonly consumer: string }
  | { readonly kind: 'problem'; readonly code: string; readonly text: string }
  /** Something was done to a process or to the broker. */
  | { readonly kind: 'blow'; readonly what: string }

export interface Journal {
  write(entry: Entry): void
  close(): void
}

const fileOf = (folder: string) => join(folder, 'journal.jsonl')

/** A journal in a folder, for one of its writers. Lines survive the SIGKILL of their writer. */
export function openJournal(folder: string, writer: string): Journal {
  const file = openSync(fileOf(folder), 'a')
  return {
    write: (entry) =>
      void writeSync(file, `${JSON.stringify({ ...entry, writer, at: Date.now() })}\n`),
    close: () => closeSync(file),
  }
}

/** All entries, in the order in which they were written. */
export function readJournal(folder: string): Entry[] {
  return readFileSync(fileOf(folder), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry)
}

/** Holds a file for each dead message that shall pass when its consumer gets it again. */
export const mendedFolder = (folder: string) => join(folder, 'mended')
export const mendedFile = (folder: string, consumer: string, id: string) =>
  join(mendedFolder(folder), `${consumer}-${id}`)

import type { CommandContext } from '../command.ts'
import type { Style } from '../style.ts'
import { logLine } from './lines.ts'
import { createStatusLine, type StatusTarget } from './status-line.ts'

/** Prints, with the status line out of the way. */
export interface Speaker {
  line(
    subject: string,
    text: string | ((style: Style) => string),
    record?: Readonly<Record<string, unknown>>,
  ): void
  block(
    kind: string,
    text: (style: Style) => string,
    record: Readonly<Record<string, unknown>>,
  ): void
  status(text: string): void
  /** Resolves when everything is written out. */
  flush(): Promise<void>
}

/** Where a speaker draws its status line, and what else is written there. */
export interface SpeakerTargets {
  readonly terminal: StatusTarget
  readonly output: StatusTarget
}

export function createSpeaker(
  context: CommandContext,
  { terminal, output }: SpeakerTargets,
): Speaker {
  const isWanted = !context.flags.json && !context.flags.quiet
  const status = createStatusLine(terminal, isWanted, [output])
  let written: Promise<void> = Promise.resolve()
  let endsEmpty = false
  const emit = (
    record: { kind: string } & Record<string, unknown>,
    toText: (style: Style) => string,
  ) => {
    status.clear()
    const done = context.emit(record, toText)
    // A reader that went away is no reason to stop serving.
    written = Promise.all([written, done.catch(() => {})]).then(() => {})
  }
  return {
    line(subject, text, record = {}) {
      const now = context.clock.now()
      emit({ kind: 'line', subject, at: new Date(now).toISOString(), ...record }, (style) => {
        endsEmpty = false
        return logLine(style, now, subject, typeof text === 'string' ? text : text(style))
      })
    },
    // One empty line between blocks, not two.
    block: (kind, text, record) =>
      emit({ kind, ...record }, (style) => {
        const whole = text(style)
        const shown = endsEmpty ? whole.replace(/^\n/, '') : whole
        endsEmpty = whole.endsWith('\n')
        return shown
      }),
    status: (text) => status.show(text),
    flush: () => {
      status.close()
      return written
    },
  }
}

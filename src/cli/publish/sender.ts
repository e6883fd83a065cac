import type { InputLine } from '../read-input.ts'

/** Lines that are sent and not yet reported, at most: enough for full group commits. */
const underWayMax = 2000

export interface SenderOptions<Fate> {
  /** Sends one line; called in the order of the input, without waiting for the one before. */
  readonly send: (line: InputLine) => Promise<Fate>
  /** Writes out what became of a line; called in the order of the input. */
  readonly report: (line: InputLine, fate: Fate) => Promise<void>
}

/**
 * Sends lines one behind the other without waiting for their acknowledgement, and reports each in the order of the
 * input as soon as its fate is known. The first failure of either ends it.
 */
export class Sender<Fate> {
  readonly #options: SenderOptions<Fate>
  readonly #failure = new AbortController()
  #firstError: { readonly error: unknown } | undefined
  #underWay = 0
  #wake: (() => void) | undefined
  #reports = Promise.resolve()

  constructor(options: SenderOptions<Fate>) {
    this.#options = options
  }

  /** Aborts at the first failure: nothing more may be sent. */
  get failed(): AbortSignal {
    return this.#failure.signal
  }

  /** Resolves when there is room for the next line; never rejects. */
  async send(line: InputLine): Promise<void> {
    this.#underWay += 1
    const fate = this.#options.send(line)
    // Handled in turn below; until then a rejection must not count as unhandled.
    fate.catch(() => undefined)
    this.#reports = this.#reports.then(() => this.#inTurn(line, fate))
    while (this.#underWay >= underWayMax && !this.failed.aborted) await this.#room()
  }

  /** Waits for everything that is under way; the first failure, if there was one. */
  async end(): Promise<{ readonly error: unknown } | undefined> {
    await this.#reports
    while (this.#underWay > 0) await this.#room()
    return this.#firstError
  }

  /** The next report waits for the fate of this line, and not for its writing out: the stream keeps the order. */
  async #inTurn(line: InputLine, fate: Promise<Fate>): Promise<void> {
    try {
      const known = await fate
      void this.#options.report(line, known).then(
        () => this.#left(),
        (error: unknown) => this.#fail(error),
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  #fail(error: unknown): void {
    this.#firstError ??= { error }
    this.#failure.abort()
    this.#left()
  }

  #left(): void {
    this.#underWay -= 1
    this.#wake?.()
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

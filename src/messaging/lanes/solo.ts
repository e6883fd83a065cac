import type { Clock, TimerHandle } from '../../core/clock.ts'
import type { Node } from './lane.ts'

/** How long a message that must run alone waits for handlers that do not end. */
const patienceMs = 10_000

/** What the group does next about messages that run alone. `wait`: nothing else starts. */
export type SoloTurn = { readonly mark: Node } | { readonly start: Node } | 'wait' | 'none'

/**
 * Messages that were with a handler, and marked, when a process died: one of them may kill again. They run one at a time,
 * with nothing of their group beside them, so that an innocent neighbour never collects their marks.
 */
export class Solo {
  readonly #clock: Clock
  readonly #wake: () => void
  #queue: Node[] = []
  #current: Node | undefined
  #timer: TimerHandle | undefined
  #isOverdue = false

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock
    this.#wake = wake
  }

  add(node: Node): void {
    this.#queue.push(node)
  }

  next(inFlight: number): SoloTurn {
    const current = this.#current
    if (current !== undefined && isPending(current)) {
      return current.phase === 'ready' ? { start: current } : 'wait'
    }
    this.#current = undefined
    this.#queue = this.#queue.filter((node) => node.phase === 'unwritten' && node.lane.isOpen)
    const node = this.#queue[0]
    if (node === undefined) return 'none'
    if (inFlight > 0 && !this.#isOverdue) {
      this.#timer ??= this.#clock.setTimeout(() => {
        this.#isOverdue = true
        this.#wake()
      }, patienceMs)
      return 'wait'
    }
    this.#queue.shift()
    this.#current = node
    this.#rest()
    return { mark: node }
  }

  #rest(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isOverdue = false
  }

  close(): void {
    this.#rest()
    this.#queue = []
    this.#current = undefined
  }
}

/** It is being marked, may start, or runs. */
function isPending({ phase, lane, runsAlone }: Node): boolean {
  if (!lane.isOurs || !runsAlone) return false
  return phase === 'running' || (lane.isOpen && (phase === 'unwritten' || phase === 'ready'))
}
